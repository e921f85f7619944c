//! Conversions from and into the UUIDs of `uuid`.

use uuid::Uuid;

use crate::protocol::values::Guid;

impl From<Uuid> for Guid {
    fn from(id: Uuid) -> Self {
        Self(id.as_u128())
    }
}

impl From<Guid> for Uuid {
    fn from(id: Guid) -> Self {
        Self::from_u128(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_convert_into_uuids_and_back() {
        let id = Uuid::from_u128(0x3f25_04e0_4f89_11d3_9a0c_0305_e82c_3301);
        assert_eq!(Guid::from(id).to_string(), id.to_string());
        assert_eq!(Uuid::from(Guid::from(id)), id);
    }
}
