//! Socket, Addrinfo, Socket::Ifaddr: the names and addresses of this machine. Nothing is connected to.

use super::{Method, method};
use crate::expr::run::{Eval, Vm};
use crate::expr::value::{Address, ClassId, Interface, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Socket.
pub(super) const CLASS: &[Method] = &[
    method("gethostname", 0, 0, |vm, _, _| {
        let name = vm.host().hostname();
        vm.new_string(name.as_bytes())
    }),
    method("ip_address_list", 0, 0, |vm, _, _| {
        let list: Vec<_> =
            interfaces(vm)?.into_iter().map(|interface| Value::Address(interface.address)).collect();
        vm.array(&list)
    })
    .impure(),
    method("getifaddrs", 0, 0, |vm, _, _| {
        let list: Vec<_> = interfaces(vm)?.into_iter().map(Value::Interface).collect();
        vm.array(&list)
    })
    .impure(),
];

/// Addrinfo the class.
pub(super) const ADDRESS_CLASS: &[Method] = &[method("ip", 1, 1, |vm, _, args| {
    let text = vm.text(args.at(0))?;
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(address) => Ok(Value::Address(vm.arena().alloc(Address { address, interface: b"" }))),
        None => Err(vm.raise(ClassId::SocketError, "looking up names is not supported: give an IP address")),
    }
})];

/// Addrinfo.
pub(super) const ADDRESS: &[Method] = &[
    method("ip_address", 0, 0, |vm, receiver, _| {
        let text = shown(this(vm, receiver)?);
        vm.new_string(text.as_bytes())
    }),
    method("inspect_sockaddr", 0, 0, |vm, receiver, _| {
        let text = shown(this(vm, receiver)?);
        vm.new_string(text.as_bytes())
    }),
    method("ip?", 0, 0, |_, _, _| Ok(Value::Bool(true))),
    method("ipv4?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.address.is_ipv4()))),
    method("ipv6?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.address.is_ipv6()))),
    method("ipv4_loopback?", 0, 0, |vm, receiver, _| ask_v4(vm, receiver, |address| address.is_loopback())),
    method("ipv4_private?", 0, 0, |vm, receiver, _| ask_v4(vm, receiver, |address| address.is_private())),
    method("ipv4_multicast?", 0, 0, |vm, receiver, _| ask_v4(vm, receiver, |address| address.is_multicast())),
    method("ipv6_loopback?", 0, 0, |vm, receiver, _| ask_v6(vm, receiver, |address| address.is_loopback())),
    method("ipv6_linklocal?", 0, 0, |vm, receiver, _| {
        ask_v6(vm, receiver, |address| address.is_unicast_link_local())
    }),
    method("ipv6_unique_local?", 0, 0, |vm, receiver, _| {
        ask_v6(vm, receiver, |address| address.is_unique_local())
    }),
    method("ipv6_multicast?", 0, 0, |vm, receiver, _| ask_v6(vm, receiver, |address| address.is_multicast())),
];

/// Socket::Ifaddr.
pub(super) const INTERFACE: &[Method] = &[
    method("name", 0, 0, |vm, receiver, _| {
        let name = interface(vm, receiver)?.name;
        Ok(vm.string(name))
    }),
    method("addr", 0, 0, |vm, receiver, _| Ok(Value::Address(interface(vm, receiver)?.address))),
];

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Address<'a>> {
    match value {
        Value::Address(address) => Ok(address),
        other => Err(vm.no_conversion(other, "Addrinfo")),
    }
}

fn interface<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Interface<'a>> {
    match value {
        Value::Interface(interface) => Ok(interface),
        other => Err(vm.no_conversion(other, "Socket::Ifaddr")),
    }
}

fn ask_v4<'a>(vm: &Vm<'_, 'a>, value: Value<'a>, ask: fn(Ipv4Addr) -> bool) -> Eval<'a> {
    Ok(Value::Bool(matches!(this(vm, value)?.address, IpAddr::V4(address) if ask(address))))
}

fn ask_v6<'a>(vm: &Vm<'_, 'a>, value: Value<'a>, ask: fn(Ipv6Addr) -> bool) -> Eval<'a> {
    Ok(Value::Bool(matches!(this(vm, value)?.address, IpAddr::V6(address) if ask(address))))
}

/// Link-local addresses carry the name of their interface.
fn shown(address: &Address<'_>) -> String {
    match address.address {
        IpAddr::V6(ip) if ip.is_unicast_link_local() && !address.interface.is_empty() => {
            format!("{ip}%{}", String::from_utf8_lossy(address.interface))
        }
        other => other.to_string(),
    }
}

/// All interfaces with an IP address: IPv4 first, in the kernel's order.
fn interfaces<'a>(vm: &mut Vm<'_, 'a>) -> Eval<'a, Vec<&'a Interface<'a>>> {
    let found = match super::netlink::addresses() {
        Ok(found) => found,
        Err(error) => return Err(vm.raise(ClassId::SocketError, format!("getifaddrs: {error}"))),
    };
    let mut list = Vec::new();
    for (name, address) in found {
        let name = vm.copy(name.as_bytes())?;
        let address: &'a Address<'a> = vm.arena().alloc(Address { address, interface: name });
        let interface: &'a Interface<'a> = vm.arena().alloc(Interface { name, address });
        list.push(interface);
    }
    Ok(list)
}
