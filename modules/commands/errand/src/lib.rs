//! A command that runs the actions in its arguments and prints the results, so that tests see what
//! the host permits. The argument `then` separates actions.

mod network;

use std::{fmt, fs, io, io::Read, time::Duration};

wasip2::cli::command::export!(Errand);

struct Errand;

impl wasip2::exports::cli::run::Guest for Errand {
    fn run() -> Result<(), ()> {
        let args: Vec<String> = std::env::args().collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        args[1..].split(|arg| *arg == "then").for_each(act);
        Ok(())
    }
}

/// Not inlined, so that it appears in backtraces.
#[inline(never)]
fn act(args: &[&str]) {
    match args {
        ["args", ..] => println!("{:?}", std::env::args().collect::<Vec<_>>()),
        ["env"] => println!("{:?}", std::env::vars().collect::<Vec<_>>()),
        ["stdin"] => println!("{:?}", stdin()),
        ["stdout-and-stderr"] => {
            println!("to stdout");
            eprintln!("to stderr");
        }
        ["read", path] => tell(fs::read_to_string(path)),
        ["write", path, content] => tell(fs::write(path, content)),
        ["remove", path] => tell(fs::remove_file(path)),
        ["list", path] => tell(fs::read_dir(path).map(|entries| entries.count())),
        // The standard library's `exit` goes through the C library, which may report only success
        // or failure.
        ["exit", code] => wasip2::cli::exit::exit_with_code(code.parse().expect("a code")),
        ["fail"] => wasip2::cli::exit::exit(Err(())),
        ["panic"] => panic!("as it was told"),
        ["spin"] => spin(),
        ["sleep", seconds] => std::thread::sleep(Duration::from_secs(seconds.parse().expect("a number"))),
        ["allocate", mebibytes] => allocate(mebibytes.parse().expect("a number")),
        ["print-for-ever"] => loop {
            println!("{}", "x".repeat(1_000));
        },
        ["connect", address] => tell(network::exchange(address)),
        ["resolve", name] => tell(network::resolve(name)),
        ["bind", address] => tell(network::bind(address)),
        ["listen"] => tell(network::listen()),
        ["udp"] => tell(network::udp()),
        other => panic!("what is {other:?}?"),
    }
}

fn tell<T: fmt::Debug, E: fmt::Debug>(result: Result<T, E>) {
    match result {
        Ok(value) => println!("ok: {value:?}"),
        Err(error) => println!("refused: {error:?}"),
    }
}

fn stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn spin() {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count).wrapping_add(1);
    }
}

fn allocate(mebibytes: usize) {
    let bytes = vec![1_u8; mebibytes << 20];
    println!("{}", std::hint::black_box(&bytes).len());
}
