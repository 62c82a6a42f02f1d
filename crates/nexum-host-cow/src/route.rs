//! The routes of an order book as patterns, for metrics and for known properties.

use cowprotocol::HttpMethod;

/// The label of an unknown path: modules can request any path, and metrics need a bounded number of
/// labels.
const OTHER: &str = "other";

/// The patterns in matching order: literal parts before placeholders.
const PATTERNS: [&str; 20] = [
    "api/v1/account/{owner}/orders",
    "api/v1/app_data",
    "api/v1/app_data/{hash}",
    "api/v1/auction",
    "api/v1/orders",
    "api/v1/orders/by_uids",
    "api/v1/orders/{uid}",
    "api/v1/orders/{uid}/status",
    "api/v1/quote",
    "api/v1/quote/stream",
    "api/v1/token/{token}/metadata",
    "api/v1/token/{token}/native_price",
    "api/v1/trades",
    "api/v1/transactions/{hash}/orders",
    "api/v1/users/{address}/total_surplus",
    "api/v1/version",
    "api/v2/solver_competition/latest",
    "api/v2/solver_competition/by_tx_hash/{hash}",
    "api/v2/solver_competition/{id}",
    "api/v2/trades",
];

/// The `POST` routes that change nothing.
const READING_POSTS: [&str; 3] = ["api/v1/orders/by_uids", "api/v1/quote", "api/v1/quote/stream"];

/// A method and the pattern of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: HttpMethod,
    pub(crate) pattern: &'static str,
}

impl Route {
    /// The route that accepts orders.
    pub(crate) const SUBMIT: Self = Self {
        method: HttpMethod::Post,
        pattern: "api/v1/orders",
    };

    /// The route of a path without its query.
    pub(crate) fn of(method: HttpMethod, path: &str) -> Self {
        let pattern = PATTERNS.into_iter().find(|pattern| fits(pattern, path));
        Self {
            method,
            pattern: pattern.unwrap_or(OTHER),
        }
    }

    /// Whether the request is known to change nothing.
    pub(crate) fn reads(self) -> bool {
        match self.method {
            HttpMethod::Get => true,
            HttpMethod::Post => READING_POSTS.contains(&self.pattern),
            HttpMethod::Put | HttpMethod::Delete => false,
        }
    }

    /// Whether the request is idempotent (RFC 9110, 9.2.2).
    pub(crate) fn is_repeatable(self) -> bool {
        self.reads() || matches!(self.method, HttpMethod::Put | HttpMethod::Delete)
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let fit = pattern.split('/').all(|word| {
        let is_place = word.starts_with('{');
        parts
            .next()
            .is_some_and(|part| part == word || (is_place && !part.is_empty()))
    });
    fit && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_the_pattern_of_its_route() {
        for (path, pattern) in [
            ("api/v1/orders", "api/v1/orders"),
            ("api/v1/orders/by_uids", "api/v1/orders/by_uids"),
            ("api/v1/orders/0x00", "api/v1/orders/{uid}"),
            ("api/v1/orders/0x00/status", "api/v1/orders/{uid}/status"),
            ("api/v1/orders/0x00/other", OTHER),
            ("api/v1/orders/", OTHER),
            ("api/v2/solver_competition/latest", "api/v2/solver_competition/latest"),
            ("api/v2/solver_competition/7", "api/v2/solver_competition/{id}"),
            ("api/v1/token/0xab/native_price", "api/v1/token/{token}/native_price"),
            ("", OTHER),
            ("secret", OTHER),
        ] {
            assert_eq!(Route::of(HttpMethod::Get, path).pattern, pattern, "{path}");
        }
    }

    #[test]
    fn only_what_does_no_harm_is_repeated() {
        for (method, path, reads, repeatable) in [
            (HttpMethod::Get, "anything", true, true),
            (HttpMethod::Post, "api/v1/quote", true, true),
            (HttpMethod::Post, "api/v1/orders/by_uids", true, true),
            (HttpMethod::Post, "api/v1/orders", false, false),
            (HttpMethod::Post, "anything", false, false),
            (HttpMethod::Put, "api/v1/app_data/0x00", false, true),
            (HttpMethod::Delete, "api/v1/orders", false, true),
        ] {
            let route = Route::of(method, path);
            assert_eq!((route.reads(), route.is_repeatable()), (reads, repeatable), "{route:?}");
        }
    }
}
