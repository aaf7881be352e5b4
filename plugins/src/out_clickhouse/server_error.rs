//! ClickHouse's errors: which number, whose fault, and what helps.

/// An answer that is not success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ServerError {
    /// ClickHouse's error number, if the answer has one.
    pub(crate) code: Option<u32>,
    /// What the server says, shortened.
    pub(crate) message: String,
}

/// What helps against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Waiting: the server is busy, read-only, starting, or cannot reach its Keeper.
    Wait,
    /// The operator: a wrong password, a missing right, a wrong setting. The data waits.
    Operator,
    /// The table or database is not there (yet): it is created, or waited for.
    Table,
    /// The table has changed: read its columns anew and encode again.
    Schema,
    /// The table has changed, or rows hold what cannot be converted: read its columns anew; if they are as they were, divide.
    SchemaOrRows,
    /// Fewer partitions in one insert.
    FewerPartitions,
    /// Smaller inserts, to find the rows that the server refuses.
    Divide,
    /// Leaving a setting out that this server does not know.
    DropSetting,
}

/// The longest message that is kept; servers quote data in them.
const MESSAGE_CHARS_MAX: usize = 600;

impl ServerError {
    /// From the body of an answer, of any version:
    /// `Code: 60. DB::Exception: Table ...`, `Code: 60, e.displayText() = DB::Exception: Table ..., e.what() = ...`.
    pub(crate) fn parse(body: &str) -> Self {
        let code = body.find("Code: ").and_then(|at| {
            let digits = &body[at + 6..];
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().ok()
        });
        let text = body.trim().split(", e.what() = ").next().unwrap_or_default();
        let mut message: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
        if message.len() < text.len() {
            message.push_str(" ...");
        }
        Self { code, message }
    }

    /// What helps.
    pub(crate) fn remedy(&self) -> Remedy {
        match self.code {
            // UNKNOWN_SETTING
            Some(115) => Remedy::DropSetting,
            // TOO_MANY_PARTS is also the code of too many partitions in one insert.
            Some(252) if self.message.contains("artitions for single INSERT") => Remedy::FewerPartitions,
            // UNKNOWN_TABLE, UNKNOWN_DATABASE
            Some(60 | 81) => Remedy::Table,
            // NOT_FOUND_COLUMN_IN_BLOCK, NO_SUCH_COLUMN_IN_TABLE, THERE_IS_NO_COLUMN, BAD_ARGUMENTS, ILLEGAL_COLUMN,
            // UNKNOWN_IDENTIFIER, TYPE_MISMATCH, INCOMPATIBLE_COLUMNS, UNKNOWN_TYPE
            Some(8 | 10 | 16 | 36 | 44 | 47 | 50 | 53 | 122) => Remedy::Schema,
            // CANNOT_CONVERT_TYPE: of two types that have no conversion, and of a value that its column's new type cannot hold
            Some(70) => Remedy::SchemaOrRows,
            // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, ..., ACCESS_DENIED, AUTHENTICATION_FAILED, SETTING_CONSTRAINT_VIOLATION,
            // SYNTAX_ERROR, UNKNOWN_FORMAT, FUNCTION_NOT_ALLOWED
            Some(62 | 73 | 192..=195 | 291 | 446 | 452 | 497 | 516) => Remedy::Operator,
            // What the server says of data: CANNOT_PARSE_*, INCORRECT_DATA, CANNOT_READ_ALL_DATA, ARGUMENT_OUT_OF_BOUND,
            // SIZES_OF_ARRAYS_DONT_MATCH, VIOLATED_CONSTRAINT, TOO_LARGE_STRING_SIZE, VALUE_IS_OUT_OF_RANGE, ...
            Some(
                6 | 26 | 27 | 32 | 33 | 38 | 41 | 43 | 69 | 72 | 117 | 128 | 130 | 131 | 190 | 262 | 321
                | 349 | 407 | 467 | 469 | 636 | 691,
            ) => Remedy::Divide,
            _ => Remedy::Wait,
        }
    }

    /// What whoever runs the server or Logweir can do about it, in a few words.
    pub(crate) fn hint(&self) -> &'static str {
        match self.code {
            Some(192..=194 | 516) => {
                "correct user and password (or access_token) here, or the user on the server"
            }
            Some(195) => "let that user connect from this machine's address",
            Some(291 | 497) => "grant the user INSERT and SELECT on the table",
            Some(60 | 81) => "create it, or set create_table true",
            Some(446 | 452) => "allow the user what the message names, or correct <settings>",
            Some(115) => "correct <settings>",
            _ => "correct what the message names",
        }
    }

    /// Whether the insert may have been stored all the same: the server gave up waiting for something, or lost sight of
    /// its replicas.
    pub(crate) fn may_have_stored(&self) -> bool {
        match self.code {
            // No code: a proxy answers for a server that it lost.
            None => true,
            // TIMEOUT_EXCEEDED, SOCKET_TIMEOUT, NETWORK_ERROR, UNSATISFIED_QUORUM, UNKNOWN_STATUS_OF_INSERT, QUERY_WAS_CANCELLED,
            // ALL_CONNECTION_TRIES_FAILED, KEEPER_EXCEPTION, and a query of the same id that is still running
            Some(code) => matches!(code, 159 | 209 | 210 | 216 | 279 | 285 | 286 | 319 | 394 | 999),
        }
    }

    /// Whether some of the insert may have been stored: a server writes one partition after the other, and what stops it
    /// at one of them undoes none of those before. False only for what it says before it writes the first.
    pub(crate) fn may_have_stored_some(&self) -> bool {
        let is_said_first = match self.remedy() {
            Remedy::Wait => {
                // TOO_MANY_PARTS, READONLY, TOO_MANY_SIMULTANEOUS_QUERIES, TABLE_IS_READ_ONLY, SESSION_NOT_FOUND
                matches!(self.code, Some(164 | 202 | 242 | 252 | 372))
            }
            Remedy::Operator
            | Remedy::Table
            | Remedy::Schema
            | Remedy::SchemaOrRows
            | Remedy::FewerPartitions
            | Remedy::Divide
            | Remedy::DropSetting => true,
        };
        !is_said_first
    }

    /// The setting that an `UNKNOWN_SETTING` error names.
    pub(crate) fn unknown_setting(&self) -> Option<&str> {
        let rest = self.message.split("nknown setting").nth(1)?;
        let rest = rest.trim_start_matches([':', ' ', '\'', '"', '`']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some(&rest[..end]).filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_old_and_new_servers() {
        let old =
            "Code: 60, e.displayText() = DB::Exception: Table d.t doesn't exist., e.what() = DB::Exception\n";
        let old = ServerError::parse(old);
        assert_eq!(old.code, Some(60));
        assert_eq!(old.message, "Code: 60, e.displayText() = DB::Exception: Table d.t doesn't exist.");
        assert_eq!(old.remedy(), Remedy::Table);
        let new =
            ServerError::parse("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)");
        assert_eq!((new.code, new.remedy(), new.may_have_stored()), (Some(241), Remedy::Wait, false));
        let proxy = ServerError::parse("502 Bad Gateway");
        assert_eq!((proxy.code, proxy.remedy(), proxy.may_have_stored()), (None, Remedy::Wait, true));
        let long = ServerError::parse(&format!("Code: 27. {}", "é".repeat(5000)));
        assert!(long.message.chars().count() < 700 && long.remedy() == Remedy::Divide);
    }

    #[test]
    fn parts_and_partitions_share_a_code() {
        let parts =
            "Code: 252. DB::Exception: Too many parts (3001). Merges are processing significantly slower";
        assert_eq!(ServerError::parse(parts).remedy(), Remedy::Wait);
        let partitions =
            "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100).";
        assert_eq!(ServerError::parse(partitions).remedy(), Remedy::FewerPartitions);
    }

    #[test]
    fn the_setting_that_a_server_lacks() {
        let old = "Code: 115, e.displayText() = DB::Exception: Unknown setting async_insert, e.what() = DB::Exception";
        assert_eq!(ServerError::parse(old).unknown_setting(), Some("async_insert"));
        let new = "Code: 115. DB::Exception: Unknown setting 'x_y': Maybe you meant ['z']. (UNKNOWN_SETTING)";
        assert_eq!(ServerError::parse(new).unknown_setting(), Some("x_y"));
        assert_eq!(ServerError::parse("Code: 115").unknown_setting(), None);
    }
}
