//! The operator's page on `[admin] listen`: its files, compiled into the binary.
//!
//! The files have no secret, so the port serves them without a token. The page asks the operator for the
//! token, and sends it with each request to `/v1`. See `docs/adr/0053-operators-page.md`.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use nexum_config::names::Digest;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file of the page.
#[derive(Clone, Copy)]
struct File {
    /// The path of its URL.
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

/// A file in the folder `page/`, whose URL is `/page/` and its name.
macro_rules! file {
    ($name:literal, $media_type:ident) => {
        file!($name in "", $media_type)
    };
    ($name:literal in $folder:literal, $media_type:ident) => {
        File {
            path: concat!("/page/", $name),
            media_type: $media_type,
            content: include_str!(concat!("page/", $folder, $name)),
        }
    };
}

/// All files. A browser loads the modules that `page.js` imports, so that there is no build step.
const FILES: [File; 16] = [
    File {
        path: "/",
        media_type: HTML,
        content: include_str!("page/index.html"),
    },
    file!("icon.svg", IMAGE),
    file!("page.css", STYLE),
    file!("page.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("charts.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("events.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("letters.js", SCRIPT),
    file!("logs.js", SCRIPT),
    file!("module.js", SCRIPT),
    file!("overview.js", SCRIPT),
    file!("parts.js", SCRIPT),
    file!("state.js", SCRIPT),
    // Draws charts. `vendor/README.md` has its version and its origin.
    file!("uPlot.esm.js" in "vendor/", SCRIPT),
];

/// The rights of the page in a browser: it may load its own files and ask the daemon that served it, and nothing else. It
/// can send no form, so that a token never gets into a URL, and no script can make elements of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of each file, beside its type and its version. `no-cache` lets a browser keep a file, and ask each time
/// whether its version is still the one of the daemon.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-cache"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The routes of the files. They need no token.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let version: Arc<str> = version().into();
    FILES.into_iter().fold(Router::new(), |router, file| {
        let version = Arc::clone(&version);
        let path = file.path;
        let answer = move |headers: HeaderMap| {
            let response = respond(&file, &version, &headers);
            async { response }
        };
        router.route(path, get(answer))
    })
}

/// One version for all files, as an entity tag (RFC 9110, section 8.8.3): the page notices the upgrade of any.
fn version() -> String {
    let contents: String = FILES.iter().map(|file| file.content).collect();
    let digest = Digest::of(contents.as_bytes()).to_string();
    format!("\"{digest}\"")
}

fn respond(file: &File, version: &str, request: &HeaderMap) -> Response {
    let known = request.get_all(header::IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains(version));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, file.media_type)], file.content).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(version) = HeaderValue::from_str(version) {
        headers.insert(header::ETAG, version);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARTS: &str = "uPlot.esm.js";

    /// The digest of the library in the package of npm that `vendor/README.md` names.
    const CHARTS_DIGEST: &str = "sha256:5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba";

    /// The files that are not the library's.
    fn own() -> impl Iterator<Item = File> {
        FILES.into_iter().filter(|file| !file.path.ends_with(CHARTS))
    }

    #[test]
    fn the_library_is_the_one_of_its_package() {
        let charts = FILES.into_iter().find(|file| file.path.ends_with(CHARTS)).unwrap();
        assert_eq!(Digest::of(charts.content.as_bytes()).to_string(), CHARTS_DIGEST);
        let origin = include_str!("page/vendor/README.md");
        assert!(origin.contains(CHARTS_DIGEST), "{origin}");
    }

    #[test]
    fn each_file_that_a_script_imports_is_served() {
        let names: Vec<_> = FILES
            .iter()
            .filter_map(|file| file.path.strip_prefix("/page/"))
            .collect();
        for file in own().filter(|file| file.media_type == SCRIPT) {
            let imports = file.content.lines().filter(|line| line.starts_with("import "));
            for import in imports {
                let (_, from) = import.split_once("\"./").expect("a file beside this one");
                assert!(names.contains(&from.trim_end_matches("\";")), "{}: {import}", file.path);
            }
        }
    }

    #[test]
    fn no_file_makes_elements_of_text() {
        for file in own() {
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!file.content.contains(way), "{}: {way}", file.path);
            }
        }
    }
}
