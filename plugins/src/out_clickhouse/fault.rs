//! Why a value does not go into a column. Small and `Copy`, so that a faulty row costs no allocation until it is
//! reported.

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// A number that the type cannot hold; it is never wrapped.
    #[error("is out of range")]
    OutOfRange,
    /// A number with a fraction where a whole one is needed.
    #[error("is not a whole number")]
    NotWhole,
    /// Not a number, nor text that is one.
    #[error("is not a number")]
    NotNumber,
    /// Not a truth value.
    #[error("is not true or false")]
    NotBool,
    /// Not a time, nor text or a number that is one.
    #[error("is not a time")]
    NotTime,
    /// Longer than its FixedString.
    #[error("is too long")]
    TooLong,
    /// No such name or value in the Enum.
    #[error("is not in the enumeration")]
    NotInEnum,
    /// Not a UUID.
    #[error("is not a UUID")]
    NotUuid,
    /// Not an IPv4 or IPv6 address.
    #[error("is not an IP address")]
    NotAddress,
    /// Something other than a map, or text that holds no JSON object.
    #[error("is not a map")]
    NotMap,
    /// Something other than an array of the right length, or than a map of the elements' names.
    #[error("is not a tuple of this shape")]
    NotTuple,
    /// No member of the Variant takes it.
    #[error("fits no member of the variant")]
    NoMember,
    /// An extension value, or MessagePack that is cut off.
    #[error("cannot be stored")]
    Unstorable,
    /// A record none of whose fields has a column, for a table whose columns all have defaults.
    #[error("has no field that the table has a column for")]
    NoField,
    /// Containers in containers beyond what a column can take.
    #[error("is nested too deeply")]
    TooDeep,
}
