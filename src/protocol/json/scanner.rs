//! JSON tokenizer, which also finds the ends of values. It does not recurse.

use std::borrow::Cow;

use crate::protocol::error::ProtocolError;

/// Reads JSON token by token, as `System.Text.Json.Utf8JsonReader` does.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct JsonScanner<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// Malformed JSON, or JSON that is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct InvalidJson;

impl From<InvalidJson> for ProtocolError {
    fn from(_: InvalidJson) -> Self {
        Self::invalid_data("Error reading JSON.")
    }
}

/// First token of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum JsonToken<'a> {
    Object,
    Array,
    String(JsonString<'a>),
    Number(&'a [u8]),
    True,
    False,
    Null,
}

impl JsonToken<'_> {
    /// Returns the name of the token in ASP.NET Core's error texts
    /// (`aspnet: SystemTextJsonExtensions.GetTokenString`).
    pub(in crate::protocol) fn name(&self) -> &'static str {
        match self {
            Self::Object => "Object",
            Self::Array => "Array",
            Self::String(_) => "String",
            Self::Number(_) => "Number",
            Self::True => "True",
            Self::False => "False",
            Self::Null => "Null",
        }
    }
}

/// Next token inside an array or object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum NextToken {
    Element,
    End,
}

impl<'a> JsonScanner<'a> {
    pub(in crate::protocol) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Returns the number of bytes read.
    pub(in crate::protocol) fn position(&self) -> usize {
        self.position
    }

    /// Returns the bytes read since a position.
    pub(in crate::protocol) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.position]
    }

    /// Returns the bytes before a position.
    pub(in crate::protocol) fn before(&self, position: usize) -> &'a [u8] {
        &self.bytes[..position]
    }

    /// Returns the unread bytes.
    pub(in crate::protocol) fn remaining(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// Skips white space and returns the next byte without reading it.
    #[inline]
    pub(in crate::protocol) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.position) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.position += 1;
        }
        None
    }

    /// Moves to the next element of an array or property of an object, or past its end.
    #[inline]
    pub(in crate::protocol) fn next(&mut self, first: bool, end: u8) -> Result<NextToken, InvalidJson> {
        match self.peek() {
            Some(byte) if byte == end => {
                self.position += 1;
                Ok(NextToken::End)
            }
            Some(b',') if !first => {
                self.position += 1;
                match self.peek() {
                    Some(byte) if byte != end => Ok(NextToken::Element),
                    _ => Err(InvalidJson),
                }
            }
            Some(_) if first => Ok(NextToken::Element),
            _ => Err(InvalidJson),
        }
    }

    /// Reads the name of a property and the colon after it.
    #[inline]
    pub(in crate::protocol) fn name(&mut self) -> Result<JsonString<'a>, InvalidJson> {
        if self.peek() != Some(b'"') {
            return Err(InvalidJson);
        }
        let name = self.string()?;
        if self.peek() != Some(b':') {
            return Err(InvalidJson);
        }
        self.position += 1;
        Ok(name)
    }

    /// Reads the name and colon of a property that almost every message has, if they follow in the
    /// form that clients write.
    #[inline]
    pub(in crate::protocol) fn common_name(&mut self) -> Option<&'static [u8]> {
        let remaining = self.remaining();
        // The lengths are known at compile time, so that each name is compared in one or two words.
        let name: &[u8] = if remaining.starts_with(b"\"type\":") {
            b"type"
        } else if remaining.starts_with(b"\"target\":") {
            b"target"
        } else if remaining.starts_with(b"\"arguments\":") {
            b"arguments"
        } else if remaining.starts_with(b"\"invocationId\":") {
            b"invocationId"
        } else {
            return None;
        };
        self.position += name.len() + 3;
        Some(name)
    }

    /// Reads a number of one digit, if one follows.
    #[inline]
    pub(in crate::protocol) fn digit(&mut self) -> Option<u8> {
        let [digit @ b'0'..=b'9', b',' | b'}', ..] = self.remaining() else { return None };
        self.position += 1;
        Some(digit - b'0')
    }

    /// Reads the first token of a value: a complete scalar, or the opening bracket of an array or
    /// object.
    #[inline]
    pub(in crate::protocol) fn token(&mut self) -> Result<JsonToken<'a>, InvalidJson> {
        match self.peek().ok_or(InvalidJson)? {
            b'"' => self.string().map(JsonToken::String),
            b'[' => {
                self.position += 1;
                Ok(JsonToken::Array)
            }
            b'{' => {
                self.position += 1;
                Ok(JsonToken::Object)
            }
            b't' => self.literal(b"true").map(|()| JsonToken::True),
            b'f' => self.literal(b"false").map(|()| JsonToken::False),
            b'n' => self.literal(b"null").map(|()| JsonToken::Null),
            _ => self.number().map(JsonToken::Number),
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), InvalidJson> {
        if !self.remaining().starts_with(literal) {
            return Err(InvalidJson);
        }
        self.position += literal.len();
        Ok(())
    }

    /// Reads a string from its opening quote.
    pub(in crate::protocol) fn string(&mut self) -> Result<JsonString<'a>, InvalidJson> {
        self.position += 1;
        let start = self.position;
        let mut escaped = false;
        loop {
            let run = self.remaining();
            let length = plain_len(run);
            if !matches!(run.get(length), Some(b'"' | b'\\')) {
                return Err(InvalidJson);
            }
            self.position += length;
            if run[length] == b'"' {
                break;
            }
            escaped = true;
            self.position += escape_len(&run[length..])?;
        }
        let raw = self.since(start);
        self.position += 1;
        Ok(JsonString { raw, escaped })
    }

    fn number(&mut self) -> Result<&'a [u8], InvalidJson> {
        let start = self.position;
        if self.bytes.get(self.position) == Some(&b'-') {
            self.position += 1;
        }
        if self.bytes.get(self.position) == Some(&b'0') {
            self.position += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.position) == Some(&b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.position) {
            self.position += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.position) {
                self.position += 1;
            }
            self.digits()?;
        }
        match self.bytes.get(self.position) {
            None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b'/') => Ok(self.since(start)),
            Some(_) => Err(InvalidJson),
        }
    }

    fn digits(&mut self) -> Result<(), InvalidJson> {
        let count = self.remaining().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.position += count;
        if count == 0 { Err(InvalidJson) } else { Ok(()) }
    }

    /// Validates and skips a value; `levels` is its maximum nesting depth.
    pub(in crate::protocol) fn skip(&mut self, levels: u32) -> Result<(), InvalidJson> {
        let token = self.token()?;
        self.skip_from(token, levels)
    }

    /// Validates and skips a value whose first token has been read.
    pub(in crate::protocol) fn skip_from(&mut self, token: JsonToken<'a>, levels: u32) -> Result<(), InvalidJson> {
        // One bit for each open array (0) or object (1). The lowest bit is the innermost.
        let (mut open, mut depth) = (0_u64, 0);
        let mut token = token;
        loop {
            let mut first = false;
            if let JsonToken::Array | JsonToken::Object = token {
                if depth == levels {
                    return Err(InvalidJson);
                }
                depth += 1;
                open = open << 1 | u64::from(token == JsonToken::Object);
                first = true;
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let end = if open & 1 == 1 { b'}' } else { b']' };
                if self.next(first, end)? == NextToken::Element {
                    break;
                }
                (open, depth, first) = (open >> 1, depth - 1, false);
            }
            if open & 1 == 1 {
                self.name()?;
            }
            token = self.token()?;
        }
    }

    /// Skips an array or object by its brackets only, without validating its content. A caller that
    /// deserializes the value validates it then.
    pub(in crate::protocol) fn skip_unchecked(&mut self, levels: u32) -> Result<(), InvalidJson> {
        let (mut open, mut depth) = (0_u64, 0);
        loop {
            let byte = *self.bytes.get(self.position).ok_or(InvalidJson)?;
            match byte {
                b'"' => {
                    self.skip_string_unchecked()?;
                    continue;
                }
                b'[' | b'{' => {
                    if depth == levels {
                        return Err(InvalidJson);
                    }
                    (open, depth) = (open << 1 | u64::from(byte == b'{'), depth + 1);
                }
                b']' | b'}' => {
                    if (open & 1 == 1) != (byte == b'}') {
                        return Err(InvalidJson);
                    }
                    (open, depth) = (open >> 1, depth - 1);
                    if depth == 0 {
                        self.position += 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
            self.position += 1;
        }
    }

    fn skip_string_unchecked(&mut self) -> Result<(), InvalidJson> {
        self.position += 1;
        loop {
            let run = self.remaining();
            let length = memchr::memchr2(b'"', b'\\', run).ok_or(InvalidJson)?;
            self.position += length + 1;
            if run[length] == b'"' {
                return Ok(());
            }
            self.position = self.bytes.len().min(self.position + 1);
        }
    }
}

/// Returns the length of the prefix without control characters, quotes and backslashes, which a
/// JSON string contains unescaped.
pub(in crate::protocol) fn plain_len(text: &[u8]) -> usize {
    let mut position = 0;
    while let Some(word) = text[position..].first_chunk() {
        let special = special_bytes(*word);
        if special != 0 {
            return position + special.trailing_zeros() as usize / 8;
        }
        position += word.len();
        if position == MAX_WORDWISE_BYTES {
            let (chunks, _) = text[position..].as_chunks();
            position += chunks.iter().take_while(|chunk| is_plain(chunk)).count() * CHUNK_BYTES;
        }
    }
    position + text[position..].iter().take_while(|byte| !is_special(**byte)).count()
}

/// Number of bytes that are examined one word at a time, enough for names and ids. Longer strings
/// are then examined in chunks.
const MAX_WORDWISE_BYTES: usize = 16;
const CHUNK_BYTES: usize = 32;

/// Returns whether a chunk needs no escapes. It has no branch for each byte, so that the compiler
/// vectorizes it.
fn is_plain(chunk: &[u8; CHUNK_BYTES]) -> bool {
    !chunk.iter().fold(false, |special, byte| special | is_special(*byte))
}

fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

/// Returns a mask whose lowest bit set belongs to the first special byte. The bits above it may be
/// wrong.
fn special_bytes(word: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & HIGHS
}

/// Returns the length of the escape sequence at the start of `escape`.
fn escape_len(escape: &[u8]) -> Result<usize, InvalidJson> {
    match escape.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') if escape.len() >= 6 && escape[2..6].iter().all(u8::is_ascii_hexdigit) => Ok(6),
        _ => Err(InvalidJson),
    }
}

/// Content of a JSON string between its quotes, with valid escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct JsonString<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> JsonString<'a> {
    /// Returns the unescaped bytes. Names are compared as bytes, so they need not be UTF-8.
    #[inline]
    pub(in crate::protocol) fn bytes(self) -> Result<Cow<'a, [u8]>, ProtocolError> {
        if self.escaped { self.unescape().map(Cow::Owned) } else { Ok(Cow::Borrowed(self.raw)) }
    }

    /// Returns the string. Invalid Unicode is an error only here, because .NET detects it when it
    /// reads the string.
    pub(in crate::protocol) fn decode(self) -> Result<Cow<'a, str>, ProtocolError> {
        if !self.escaped {
            return str::from_utf8(self.raw).map(Cow::Borrowed).map_err(|_| not_utf8());
        }
        String::from_utf8(self.unescape()?).map(Cow::Owned).map_err(|_| not_utf8())
    }

    fn unescape(self) -> Result<Vec<u8>, ProtocolError> {
        let mut text = Vec::with_capacity(self.raw.len());
        let mut remaining = self.raw;
        while let Some(start) = memchr::memchr(b'\\', remaining) {
            text.extend_from_slice(&remaining[..start]);
            let (c, length) = unescape(&remaining[start..])?;
            text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            remaining = &remaining[start + length..];
        }
        text.extend_from_slice(remaining);
        Ok(text)
    }
}

/// Returns the character of the escape sequence at the start of `remaining`, and the length of the
/// sequence.
fn unescape(remaining: &[u8]) -> Result<(char, usize), ProtocolError> {
    let simple = match remaining[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_unicode(remaining),
        other => char::from(other),
    };
    Ok((simple, 2))
}

fn unescape_unicode(remaining: &[u8]) -> Result<(char, usize), ProtocolError> {
    let unit = code_unit(remaining);
    if let Some(c) = char::from_u32(unit) {
        return Ok((c, 6));
    }
    if unit >= 0xdc00 {
        return Err(invalid_surrogate(unit));
    }
    let remaining = &remaining[6..];
    if !remaining.starts_with(b"\\u") {
        return Err(ProtocolError::new(
            "InvalidOperationException",
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
        ));
    }
    let low = code_unit(remaining);
    if !(0xdc00..0xe000).contains(&low) {
        return Err(invalid_surrogate(low));
    }
    let code = 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
    char::from_u32(code).map(|c| (c, 12)).ok_or_else(|| invalid_surrogate(low))
}

/// Returns the UTF-16 code unit of a `\u` sequence.
fn code_unit(escape: &[u8]) -> u32 {
    escape[2..6].iter().fold(0, |unit, &digit| unit << 4 | char::from(digit).to_digit(16).unwrap_or_default())
}

fn not_utf8() -> ProtocolError {
    ProtocolError::new("InvalidOperationException", "Cannot transcode invalid UTF-8 JSON text to UTF-16 string.")
}

fn invalid_surrogate(unit: u32) -> ProtocolError {
    let text = format!("Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0x{unit:X}'.");
    ProtocolError::new("InvalidOperationException", text)
}

#[cfg(test)]
mod tests {
    use super::plain_len;

    #[test]
    fn plain_len_finds_the_first_special_byte_at_any_position() {
        for length in 0..100 {
            let text = vec![b'\xe9'; length];
            assert_eq!(plain_len(&text), length);
            for (position, special) in (0..length).zip([b'"', b'\\', 0, 0x1f].into_iter().cycle()) {
                let mut text = text.clone();
                text[position..].fill(b'!');
                (text[position], text[length - 1]) = (special, b'"');
                assert_eq!(plain_len(&text), position, "{special} in {length}");
            }
        }
    }
}
