//! Classes and modules that expressions can name.

macro_rules! classes {
    ($($id:ident $name:literal $parent:ident,)*) => {
        /// A class or module.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum ClassId { $($id),* }

        impl ClassId {
            /// All of them.
            pub(crate) const ALL: &'static [ClassId] = &[$(ClassId::$id),*];

            /// The full name in Ruby.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$id => $name),* }
            }

            /// The superclass; a module, and the root, is its own.
            fn parent(self) -> Self {
                match self { $(Self::$id => Self::$parent),* }
            }
        }
    };
}

classes! {
    BasicObject "BasicObject" BasicObject,
    Object "Object" BasicObject,
    Module "Module" Object,
    Class "Class" Module,
    Kernel "Kernel" Kernel,
    Comparable "Comparable" Comparable,
    Enumerable "Enumerable" Enumerable,
    NilClass "NilClass" Object,
    TrueClass "TrueClass" Object,
    FalseClass "FalseClass" Object,
    Numeric "Numeric" Object,
    Integer "Integer" Numeric,
    Float "Float" Numeric,
    String "String" Object,
    Symbol "Symbol" Object,
    Array "Array" Object,
    Hash "Hash" Object,
    Range "Range" Object,
    Regexp "Regexp" Object,
    MatchData "MatchData" Object,
    Proc "Proc" Object,
    Enumerator "Enumerator" Object,
    Time "Time" Object,
    Date "Date" Object,
    DateTime "DateTime" Date,
    Env "ENV" Object,
    Main "Object" Object,
    EventTime "Fluent::EventTime" Object,
    Fluent "Fluent" Fluent,
    Encoding "Encoding" Object,
    Ip "IPAddr" Object,
    Socket "Socket" Object,
    Addrinfo "Addrinfo" Object,
    Ifaddr "Socket::Ifaddr" Object,
    File "File" Io,
    Io "IO" Object,
    Dir "Dir" Object,
    Math "Math" Math,
    MathDomainError "Math::DomainError" ArgumentError,
    Json "JSON" Json,
    Base64 "Base64" Base64,
    Digest "Digest" Digest,
    Md5 "Digest::MD5" Object,
    Sha1 "Digest::SHA1" Object,
    Sha256 "Digest::SHA256" Object,
    SecureRandom "SecureRandom" SecureRandom,
    Random "Random" Object,
    Process "Process" Process,
    Uri "URI" Uri,
    UriGeneric "URI::Generic" Object,
    Cgi "CGI" Object,
    Zlib "Zlib" Zlib,
    Oms "OMS" Oms,
    OmsCommon "OMS::Common" Object,
    Exception "Exception" Object,
    ScriptError "ScriptError" Exception,
    SystemStackError "SystemStackError" Exception,
    NoMemoryError "NoMemoryError" Exception,
    StandardError "StandardError" Exception,
    ArgumentError "ArgumentError" StandardError,
    EncodingError "EncodingError" StandardError,
    UndefinedConversionError "Encoding::UndefinedConversionError" EncodingError,
    InvalidByteSequenceError "Encoding::InvalidByteSequenceError" EncodingError,
    CompatibilityError "Encoding::CompatibilityError" EncodingError,
    FiberError "FiberError" StandardError,
    IoError "IOError" StandardError,
    IndexError "IndexError" StandardError,
    KeyError "KeyError" IndexError,
    StopIteration "StopIteration" IndexError,
    LocalJumpError "LocalJumpError" StandardError,
    NameError "NameError" StandardError,
    NoMethodError "NoMethodError" NameError,
    RangeError "RangeError" StandardError,
    FloatDomainError "FloatDomainError" RangeError,
    RegexpError "RegexpError" StandardError,
    RuntimeError "RuntimeError" StandardError,
    FrozenError "FrozenError" RuntimeError,
    TypeError "TypeError" StandardError,
    ZeroDivisionError "ZeroDivisionError" StandardError,
    SystemCallError "SystemCallError" StandardError,
    Errno "Errno" Errno,
    NoEntry "Errno::ENOENT" SystemCallError,
    NoAccess "Errno::EACCES" SystemCallError,
    IsDirectory "Errno::EISDIR" SystemCallError,
    NotDirectory "Errno::ENOTDIR" SystemCallError,
    SocketError "SocketError" StandardError,
    JsonError "JSON::JSONError" StandardError,
    JsonParserError "JSON::ParserError" JsonError,
    JsonGeneratorError "JSON::GeneratorError" JsonError,
    DateError "Date::Error" ArgumentError,
    IpError "IPAddr::Error" ArgumentError,
    IpInvalidAddress "IPAddr::InvalidAddressError" IpError,
    IpFamily "IPAddr::AddressFamilyError" IpError,
    UriError "URI::Error" StandardError,
    UriInvalid "URI::InvalidURIError" UriError,
}

impl ClassId {
    /// The class of that full name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let hidden = [Self::Main, Self::Env];
        Self::ALL.iter().copied().find(|class| class.name() == name && !hidden.contains(class))
    }

    /// The class with the name `member` in this one.
    pub(crate) fn member(self, member: &str) -> Option<Self> {
        Self::find(&format!("{}::{member}", self.name()))
    }

    /// Whether it is a module, which has no instances of its own.
    pub(crate) fn is_module(self) -> bool {
        self.parent() == self && self != Self::BasicObject
    }

    /// Whether it is `other` or one of its descendants, modules that are mixed in included.
    pub(crate) fn is_a(self, other: Self) -> bool {
        match other {
            Self::Kernel => !self.is_module() && self != Self::BasicObject,
            Self::Comparable => matches!(
                self,
                Self::Integer
                    | Self::Float
                    | Self::Numeric
                    | Self::String
                    | Self::Time
                    | Self::Date
                    | Self::DateTime
                    | Self::Ip
            ),
            Self::Enumerable => {
                matches!(
                    self,
                    Self::Array | Self::Hash | Self::Range | Self::Enumerator | Self::Dir | Self::File
                )
            }
            _ => {
                let mut class = self;
                loop {
                    if class == other {
                        return true;
                    }
                    let parent = class.parent();
                    if parent == class {
                        return false;
                    }
                    class = parent;
                }
            }
        }
    }

    /// Whether it can be raised.
    pub(crate) fn is_exception(self) -> bool {
        self.is_a(Self::Exception)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestry() {
        assert!(ClassId::KeyError.is_a(ClassId::StandardError));
        assert!(ClassId::DateTime.is_a(ClassId::Date) && !ClassId::Date.is_a(ClassId::DateTime));
        assert!(ClassId::Array.is_a(ClassId::Enumerable) && ClassId::Integer.is_a(ClassId::Comparable));
        assert!(!ClassId::Json.is_exception() && ClassId::Json.is_module() && !ClassId::String.is_module());
    }

    #[test]
    fn names_lead_to_classes() {
        assert_eq!(ClassId::find("Digest::MD5"), Some(ClassId::Md5));
        assert_eq!(ClassId::Digest.member("MD5"), Some(ClassId::Md5));
        assert_eq!(ClassId::find("ENV"), None);
    }
}
