//! Space and tab: what RFC 9110 calls optional whitespace.

pub const BLANKS: [char; 2] = [' ', '\t'];
