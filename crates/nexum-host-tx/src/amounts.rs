//! Amounts for the operator, as the configuration writes them.

use alloy_primitives::U256;
use alloy_primitives::utils::{format_ether, format_units};

/// Wei in ether, without needless zeros.
pub fn ether(wei: U256) -> String {
    without_zeros(&format_ether(wei))
}

/// Wei in gwei, without needless zeros.
pub fn gwei(wei: u128) -> String {
    without_zeros(&format_units(wei, "gwei").unwrap_or_default())
}

fn without_zeros(text: &str) -> String {
    let digits = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    digits.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_that_matter() {
        let wei: u128 = 1_000_000_000_000_000_000;
        for (amount, expected) in [
            (0, "0"),
            (1, "0.000000000000000001"),
            (wei / 20, "0.05"),
            (wei * 100, "100"),
        ] {
            assert_eq!(ether(U256::from(amount)), expected);
        }
        for (amount, expected) in [
            (0, "0"),
            (1, "0.000000001"),
            (1_500_000_000, "1.5"),
            (20_000_000_000, "20"),
        ] {
            assert_eq!(gwei(amount), expected);
        }
    }
}
