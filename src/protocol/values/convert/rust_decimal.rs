//! Conversions from and into the decimal of `rust_decimal`, which has the same range.

use crate::protocol::values::Decimal;

impl From<rust_decimal::Decimal> for Decimal {
    fn from(value: rust_decimal::Decimal) -> Self {
        let scale = u8::try_from(value.scale()).expect("the maximum scale is 28");
        Self::new(value.mantissa(), scale).expect("mantissas have 96 bits in both types")
    }
}

impl From<Decimal> for rust_decimal::Decimal {
    fn from(value: Decimal) -> Self {
        Self::from_i128_with_scale(value.mantissa(), value.scale().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_convert_into_rust_decimal_and_back() {
        for value in ["0", "0.00", "-12.340", "79228162514264337593543950335", "-0.0000000000000000000000000001"] {
            let ours: Decimal = value.parse().unwrap();
            let theirs = rust_decimal::Decimal::from(ours);
            assert_eq!(theirs.to_string(), value);
            assert_eq!(Decimal::from(theirs).to_string(), value);
        }
        assert_eq!(Decimal::from(rust_decimal::Decimal::MIN), Decimal::MIN);
        assert_eq!(Decimal::from(rust_decimal::Decimal::MAX), Decimal::MAX);
    }
}
