//! IP addresses and prefixes: their text, and Trino's functions of them.
//!
//! Source: Trino manual, "IP Address Functions" and "Data types"; Presto's manual for prefixes.

use std::{net::IpAddr, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, ListArray,
        },
        buffer::OffsetBuffer,
        datatypes::{DataType, Field},
    },
    common::{exec_datafusion_err, exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    nested::unexpected,
    scalar::{Call, Kind, Spec, boolean},
    type_name,
};
use crate::types::{ADDRESS, PREFIX, is_text};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Spec::new(
            "ip_prefix",
            &[Kind::Any, Kind::Integer],
            prefix_type,
            ip_prefix,
        ),
        Spec::new(
            "ip_subnet_min",
            &[Kind::Any],
            |given| of_prefix(given, ADDRESS),
            |call| addresses(call, |prefix| prefix.lowest),
        ),
        Spec::new(
            "ip_subnet_max",
            &[Kind::Any],
            |given| of_prefix(given, ADDRESS),
            |call| addresses(call, Prefix::highest),
        ),
        Spec::new(
            "ip_subnet_range",
            &[Kind::Any],
            |given| of_prefix(given, range_type()),
            subnet_range,
        ),
        Spec::new(
            "is_subnet_of",
            &[Kind::Any, Kind::Any],
            subnet_type,
            is_subnet_of,
        ),
    ]
    .map(Spec::build)
    .into()
}

/// `contains(network, address)`; the network is text, or a prefix.
pub(super) fn contains() -> Arc<ScalarUDF> {
    let contains_type = |given: &[DataType]| match given {
        [network, address]
            if (is_text(network) || [PREFIX, DataType::Null].contains(network))
                && [ADDRESS, DataType::Null].contains(address) =>
        {
            boolean(given)
        }
        _ => plan_err!("contains takes a network and an address"),
    };
    Spec::new(
        "contains",
        &[Kind::Any, Kind::Address],
        contains_type,
        |call| {
            let addresses = call.fixed(1);
            if *call.args[0].data_type() == PREFIX {
                let prefixes = call.fixed(0);
                return call.to_booleans(|row| {
                    let prefix = Prefix::from_bytes(prefixes.value(row));
                    Ok(Some(prefix.covers(address(addresses.value(row)))))
                });
            }
            let networks = datafusion::arrow::compute::cast(&call.args[0], &DataType::Utf8)?;
            let networks = networks.as_string::<i32>();
            call.to_booleans(|row| {
                in_network(networks.value(row), address(addresses.value(row))).map(Some)
            })
        },
    )
    .build()
}

/// The number of an address: IPv4 ones are those of `::ffff:0:0/96`.
fn address(bytes: &[u8]) -> u128 {
    bytes
        .iter()
        .take(16)
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

const V4: u128 = 0xffff_0000_0000;

fn is_v4(address: u128) -> bool {
    address >> 32 == V4 >> 32
}

fn read_address(text: &str) -> Option<u128> {
    Some(match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => V4 | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    })
}

fn show_address(address: u128) -> String {
    if is_v4(address) {
        core::net::Ipv4Addr::from_bits(address as u32).to_string()
    } else {
        core::net::Ipv6Addr::from_bits(address).to_string()
    }
}

/// A network: its lowest address and the number of its bits that are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    lowest: u128,
    length: u8,
}

impl Prefix {
    /// `None` when the length exceeds that of the address.
    fn new(address: u128, length: u8) -> Option<Self> {
        let whole: u32 = if is_v4(address) { 32 } else { 128 };
        let free = whole.checked_sub(u32::from(length))?;
        let lowest = u128::MAX.checked_shl(free).unwrap_or(0) & address;
        // An IPv4 address stays one even where none of its bits is fixed.
        let lowest = if whole == 32 { lowest | V4 } else { lowest };
        Some(Self { lowest, length })
    }

    fn highest(self) -> u128 {
        let whole = if is_v4(self.lowest) { 32 } else { 128 };
        let free = whole - u32::from(self.length).min(whole);
        self.lowest | !u128::MAX.checked_shl(free).unwrap_or(0)
    }

    fn covers(self, address: u128) -> bool {
        is_v4(address) == is_v4(self.lowest) && (self.lowest..=self.highest()).contains(&address)
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            lowest: address(bytes),
            length: bytes.get(16).copied().unwrap_or(0),
        }
    }

    fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&self.lowest.to_be_bytes());
        bytes[16] = self.length;
        bytes
    }

    fn read(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        Self::new(read_address(address)?, length.parse().ok()?)
    }
}

/// Is an address in a network written as `10.0.0.0/8`? Trino's checks, in its order.
fn in_network(network: &str, address: u128) -> Result<bool> {
    let Some((written, length)) = network.split_once('/') else {
        return exec_err!("Invalid CIDR");
    };
    let Some(written) = read_address(written) else {
        return exec_err!("Invalid network IP address");
    };
    let length = match length.parse::<i64>() {
        Ok(length) if length >= 0 => length,
        _ => return exec_err!("Invalid prefix length"),
    };
    let prefix = u8::try_from(length)
        .ok()
        .and_then(|length| Prefix::new(written, length))
        .ok_or_else(|| exec_datafusion_err!("Prefix length exceeds address length"))?;
    // Of IPv4 networks, the bits behind the prefix must be zero.
    if is_v4(written) && prefix.lowest != written {
        return exec_err!("Invalid CIDR");
    }
    Ok(prefix.covers(address))
}

/// Texts as addresses or prefixes; one that is none is an error, or null where `safe`.
pub(super) fn from_text(texts: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    fixed(texts.len(), to, |row| {
        let texts = texts.as_string::<i32>();
        if texts.is_null(row) {
            return Ok(None);
        }
        let text = texts.value(row);
        let bytes = if *to == PREFIX {
            Prefix::read(text).map(|prefix| prefix.to_bytes().to_vec())
        } else {
            read_address(text).map(|address| address.to_be_bytes().to_vec())
        };
        match bytes {
            None if !safe => exec_err!(
                "Cannot cast value to {}: {text}",
                type_name(to).to_uppercase()
            ),
            bytes => Ok(bytes),
        }
    })
}

/// The text of addresses or prefixes.
pub(super) fn to_text(array: &ArrayRef, row: usize) -> String {
    let bytes = array.as_fixed_size_binary().value(row);
    if *array.data_type() == PREFIX {
        let prefix = Prefix::from_bytes(bytes);
        format!("{}/{}", show_address(prefix.lowest), prefix.length)
    } else {
        show_address(address(bytes))
    }
}

/// Addresses as the prefixes that hold nothing else, and prefixes as their lowest address.
pub(super) fn between(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let given = array.as_fixed_size_binary();
    fixed(array.len(), to, |row| {
        if given.is_null(row) {
            return Ok(None);
        }
        let number = address(given.value(row));
        let whole = if is_v4(number) { 32 } else { 128 };
        Ok(if *to == PREFIX {
            Prefix::new(number, whole).map(|prefix| prefix.to_bytes().to_vec())
        } else {
            Some(number.to_be_bytes().to_vec())
        })
    })
}

/// Bytes as addresses: 4 or 16 of them.
pub(super) fn from_bytes(array: &ArrayRef, safe: bool) -> Result<ArrayRef> {
    let given = array.as_binary::<i32>();
    fixed(array.len(), &ADDRESS, |row| {
        if given.is_null(row) {
            return Ok(None);
        }
        match given.value(row) {
            four if four.len() == 4 => Ok(Some((V4 | address(four)).to_be_bytes().to_vec())),
            sixteen if sixteen.len() == 16 => Ok(Some(sixteen.to_vec())),
            _ if safe => Ok(None),
            other => exec_err!("Invalid IP address binary length: {}", other.len()),
        }
    })
}

/// An array of fixed-size bytes.
pub(super) fn fixed(
    rows: usize,
    data_type: &DataType,
    mut each: impl FnMut(usize) -> Result<Option<Vec<u8>>>,
) -> Result<ArrayRef> {
    let DataType::FixedSizeBinary(size) = data_type else {
        return exec_err!("{} has no fixed size", type_name(data_type));
    };
    let mut result = FixedSizeBinaryBuilder::with_capacity(rows, *size);
    for row in 0..rows {
        match each(row)? {
            Some(bytes) => result.append_value(bytes)?,
            None => result.append_null(),
        }
    }
    Ok(Arc::new(result.finish()))
}

fn prefix_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [address, _] if is_text(address) || [ADDRESS, DataType::Null].contains(address) => {
            Ok(PREFIX)
        }
        _ => unexpected(
            "ip_prefix",
            given,
            "ip_prefix(ipaddress or varchar, bigint)",
        ),
    }
}

fn ip_prefix(call: &Call) -> Result<ArrayRef> {
    let given = super::cast::convert(&call.args[0], &ADDRESS, false)?;
    let given = given.as_fixed_size_binary();
    let lengths = call.integers(1);
    fixed(call.rows, &PREFIX, |row| {
        if !call.all_valid(row) {
            return Ok(None);
        }
        let number = address(given.value(row));
        let prefix = u8::try_from(lengths.value(row))
            .ok()
            .and_then(|length| Prefix::new(number, length));
        match prefix {
            Some(prefix) => Ok(Some(prefix.to_bytes().to_vec())),
            None => exec_err!(
                "{} subnet size must be in range [0, {}]",
                if is_v4(number) { "IPv4" } else { "IPv6" },
                if is_v4(number) { 32 } else { 128 }
            ),
        }
    })
}

fn of_prefix(given: &[DataType], result: DataType) -> Result<DataType> {
    match given {
        [prefix] if [PREFIX, DataType::Null].contains(prefix) => Ok(result),
        _ => plan_err!("an ipprefix is needed; CAST('10.0.0.0/8' AS ipprefix) makes one"),
    }
}

fn prefixes(call: &Call) -> Result<FixedSizeBinaryArray> {
    let array = super::cast::convert(&call.args[0], &PREFIX, false)?;
    Ok(array.as_fixed_size_binary().clone())
}

fn addresses(call: &Call, each: fn(Prefix) -> u128) -> Result<ArrayRef> {
    let prefixes = prefixes(call)?;
    fixed(call.rows, &ADDRESS, |row| {
        let prefix = prefixes
            .is_valid(row)
            .then(|| Prefix::from_bytes(prefixes.value(row)));
        Ok(prefix.map(|prefix| each(prefix).to_be_bytes().to_vec()))
    })
}

fn range_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(ADDRESS, true)))
}

fn subnet_range(call: &Call) -> Result<ArrayRef> {
    let prefixes = prefixes(call)?;
    let mut ends = Vec::new();
    let mut lengths = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if prefixes.is_valid(row) {
            let prefix = Prefix::from_bytes(prefixes.value(row));
            ends.extend([prefix.lowest, prefix.highest()]);
            lengths.push(2);
        } else {
            lengths.push(0);
        }
    }
    let values = fixed(ends.len(), &ADDRESS, |at| {
        Ok(Some(ends[at].to_be_bytes().to_vec()))
    })?;
    Ok(Arc::new(ListArray::try_new(
        Arc::new(Field::new_list_field(ADDRESS, true)),
        OffsetBuffer::from_lengths(lengths),
        values,
        prefixes.nulls().cloned(),
    )?))
}

fn subnet_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [prefix, inner]
            if [PREFIX, DataType::Null].contains(prefix)
                && [PREFIX, ADDRESS, DataType::Null].contains(inner) =>
        {
            boolean(given)
        }
        _ => unexpected(
            "is_subnet_of",
            given,
            "is_subnet_of(ipprefix, ipaddress or ipprefix)",
        ),
    }
}

fn is_subnet_of(call: &Call) -> Result<ArrayRef> {
    let outer = prefixes(call)?;
    let inner = super::cast::convert(&call.args[1], &PREFIX, false)?;
    let inner = inner.as_fixed_size_binary();
    let rows = (0..call.rows).map(|row| {
        (outer.is_valid(row) && inner.is_valid(row)).then(|| {
            let (outer, inner) = (outer.value(row), inner.value(row));
            let (outer, inner) = (Prefix::from_bytes(outer), Prefix::from_bytes(inner));
            outer.covers(inner.lowest) && outer.covers(inner.highest())
        })
    });
    let result: datafusion::arrow::array::BooleanArray = rows.collect();
    Ok(Arc::new(result))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_shown_in_their_short_form() {
        let cases = [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("::", "::"),
            ("64:ff9b::10.0.0.0", "64:ff9b::a00:0"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
        ];
        for (text, shown) in cases {
            assert_eq!(show_address(read_address(text).unwrap()), shown);
        }
        for text in [
            "1.2.3",
            "01.2.3.4",
            "x",
            "",
            "1.2.3.4/8",
            " 1.2.3.4",
            "1::2::3",
        ] {
            assert_eq!(read_address(text), None, "{text}");
        }
    }

    #[test]
    fn networks_are_checked_as_trino_checks_them() {
        let address = |text| read_address(text).unwrap();
        assert!(in_network("0.0.0.0/0", address("255.1.1.1")).unwrap());
        assert!(!in_network("0.0.0.0/0", address("::1")).unwrap());
        assert!(in_network("::/0", address("2001::")).unwrap());
        for (network, message) in [
            ("x.x.x.x", "Invalid CIDR"),
            ("x.x.x.x/1", "Invalid network IP address"),
            ("0.0.0.0/-1", "Invalid prefix length"),
            ("10.0.0.1/8", "Invalid CIDR"),
            ("10.0.0.0/33", "Prefix length exceeds address length"),
            ("2620::/250", "Prefix length exceeds address length"),
        ] {
            let error = in_network(network, 0).unwrap_err().to_string();
            assert!(error.contains(message), "{network}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_holds_its_ends_and_its_address(address: u128, v4: bool, length in 0_u8..=128) {
            let address = if v4 { V4 | address & 0xffff_ffff } else { address };
            if let Some(prefix) = Prefix::new(address, length) {
                prop_assert!(prefix.covers(address));
                prop_assert!(prefix.covers(prefix.lowest) && prefix.covers(prefix.highest()));
                prop_assert_eq!(Prefix::from_bytes(&prefix.to_bytes()), prefix);
                let shown = format!("{}/{}", show_address(prefix.lowest), prefix.length);
                prop_assert_eq!(Prefix::read(&shown), Some(prefix));
            } else {
                prop_assert!(length > 32 && is_v4(address));
            }
        }
    }
}
