/// Wrong modules, each with the error that tells what is right. `TRYBUILD=overwrite` writes the
/// errors of the compiler.
#[test]
fn wrong_modules_have_helpful_errors() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
