//! IPAddr.

use super::{ANY, ClassId, Method, method};
use crate::expr::run::{Eval, Vm};
use crate::expr::value::{Ip, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPAddr's own methods.
pub(super) const METHODS: &[Method] = &[
    method("ipv4?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.address.is_ipv4()))),
    method("ipv6?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.address.is_ipv6()))),
    method("include?", 1, 1, |vm, receiver, args| {
        let ip = this(vm, receiver)?;
        Ok(Value::Bool(includes(vm, ip, args.at(0))?))
    }),
    method("===", 1, 1, |vm, receiver, args| {
        let ip = this(vm, receiver)?;
        Ok(Value::Bool(includes(vm, ip, args.at(0))?))
    }),
    method("==", 1, 1, |vm, receiver, args| {
        let ip = this(vm, receiver)?;
        Ok(Value::Bool(match args.at(0) {
            Value::Ip(other) => ip == other,
            Value::Str(text) => parse(text.bytes()).is_some_and(|other| *ip == other),
            _ => false,
        }))
    }),
    method("to_i", 0, 0, |vm, receiver, _| {
        let number = bits(this(vm, receiver)?.address);
        Ok(Value::big(vm.arena(), &num_bigint::BigInt::from(number)))
    }),
    method("to_string", 0, 0, |vm, receiver, _| {
        let text = match this(vm, receiver)?.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                address.segments().iter().map(|part| format!("{part:04x}")).collect::<Vec<_>>().join(":")
            }
        };
        vm.new_string(text.as_bytes())
    }),
    method("prefix", 0, 0, |vm, receiver, _| Ok(Value::Int(i64::from(this(vm, receiver)?.prefix)))),
    method("mask", 1, 1, |vm, receiver, args| {
        let ip = this(vm, receiver)?;
        let prefix = match args.at(0) {
            Value::Str(mask) => prefix_of(mask.bytes(), ip.address),
            length => u8::try_from(vm.int(length)?).ok(),
        };
        match prefix.filter(|prefix| *prefix <= width(ip.address)) {
            Some(prefix) => Ok(Value::Ip(vm.arena().alloc(masked(ip.address, prefix)))),
            None => Err(vm.raise(ClassId::IpError, "invalid netmask")),
        }
    }),
    method("loopback?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.address.is_loopback()))),
    method("private?", 0, 0, |vm, receiver, _| {
        Ok(Value::Bool(match this(vm, receiver)?.address {
            IpAddr::V4(address) => address.is_private(),
            IpAddr::V6(address) => address.is_unique_local(),
        }))
    }),
    method("link_local?", 0, 0, |vm, receiver, _| {
        Ok(Value::Bool(match this(vm, receiver)?.address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }))
    }),
    method("native", 0, 0, |vm, receiver, _| {
        let ip = this(vm, receiver)?;
        let native = match ip.address {
            IpAddr::V6(address) => {
                address.to_ipv4_mapped().map(|address| Ip { address: IpAddr::V4(address), prefix: 32 })
            }
            IpAddr::V4(_) => None,
        };
        Ok(native.map_or(receiver, |native| Value::Ip(vm.arena().alloc(native))))
    }),
];

/// IPAddr the class.
pub(super) const CLASS: &[Method] = &[method("new", 1, ANY, |vm, _, args| {
    let text = vm.text(args.at(0))?;
    match parse(text) {
        Some(ip) => Ok(Value::Ip(vm.arena().alloc(ip))),
        None => {
            let shown = String::from_utf8_lossy(text).into_owned();
            let address = shown.split('/').next().unwrap_or_default().to_owned();
            Err(vm.raise(ClassId::IpInvalidAddress, format!("invalid address: {address}")))
        }
    }
})];

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Ip> {
    match value {
        Value::Ip(ip) => Ok(ip),
        other => Err(vm.no_conversion(other, "IPAddr")),
    }
}

/// `address`, `address/length`, `address/mask`, `[address]`
fn parse(text: &[u8]) -> Option<Ip> {
    let text = std::str::from_utf8(text).ok()?;
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    let address = address.split('%').next().unwrap_or_default();
    let address: IpAddr = address.parse().ok()?;
    let prefix = match mask {
        None => width(address),
        Some(mask) => prefix_of(mask.as_bytes(), address).filter(|prefix| *prefix <= width(address))?,
    };
    Some(masked(address, prefix))
}

/// The length that a prefix or a net mask means.
fn prefix_of(mask: &[u8], address: IpAddr) -> Option<u8> {
    let mask = std::str::from_utf8(mask).ok()?;
    if let Ok(length) = mask.parse() {
        return Some(length);
    }
    let mask: IpAddr = mask.parse().ok()?;
    let ones = bits(mask).count_ones() as u8;
    (masked_bits(u128::MAX, ones, mask) == bits(mask) && mask.is_ipv4() == address.is_ipv4()).then_some(ones)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn masked_bits(value: u128, prefix: u8, like: IpAddr) -> u128 {
    let spare = u32::from(width(like) - prefix.min(width(like)));
    let kept = u128::MAX.checked_shl(spare).unwrap_or(0);
    let all = if like.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX };
    value & kept & all
}

fn masked(address: IpAddr, prefix: u8) -> Ip {
    let value = masked_bits(bits(address), prefix, address);
    let address = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(value as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(value)),
    };
    Ip { address, prefix }
}

/// Whether a network contains an address or a smaller network.
pub(super) fn includes<'a>(vm: &mut Vm<'_, 'a>, ip: &Ip, other: Value<'a>) -> Eval<'a, bool> {
    let other = match other {
        Value::Ip(other) => *other,
        Value::Str(text) => match parse(text.bytes()) {
            Some(other) => other,
            None => {
                let shown = String::from_utf8_lossy(text.bytes()).into_owned();
                return Err(vm.raise(ClassId::IpInvalidAddress, format!("invalid address: {shown}")));
            }
        },
        _ => return Ok(false),
    };
    Ok(other.address.is_ipv4() == ip.address.is_ipv4()
        && other.prefix >= ip.prefix
        && masked(other.address, ip.prefix).address == ip.address)
}

/// `#<IPAddr: IPv4:10.0.0.0/255.0.0.0>`
pub(crate) fn ip_inspect(ip: &Ip) -> String {
    let mask = masked_bits(u128::MAX, ip.prefix, ip.address);
    match ip.address {
        IpAddr::V4(address) => format!("#<IPAddr: IPv4:{address}/{}>", Ipv4Addr::from(mask as u32)),
        IpAddr::V6(address) => {
            let long = |address: Ipv6Addr| {
                address.segments().iter().map(|part| format!("{part:04x}")).collect::<Vec<_>>().join(":")
            };
            format!("#<IPAddr: IPv6:{}/{}>", long(address), long(Ipv6Addr::from(mask)))
        }
    }
}
