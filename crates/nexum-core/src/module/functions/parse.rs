//! Reads the text of a type, in the syntax of WIT.

use super::value_type::ValueType;

/// How many types a type may nest. A check of a value recurses as deep.
const DEPTH_MAX: usize = 16;

/// The most bytes of a name. Names are words that callers type.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// Whether a text is a name: lower-case words with `-` between them.
pub(super) fn is_name(text: &str) -> bool {
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= NAME_BYTES_MAX && text.split('-').all(is_word)
}

/// Parses a type.
///
/// # Errors
///
/// Returns what is wrong, with the offset in bytes.
pub(super) fn parse(text: &str) -> Result<ValueType, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let found = parser.value_type()?;
    parser.skip_space();
    match parser.at == text.len() {
        true => Ok(found),
        false => Err(parser.expected("the end of the type")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn value_type(&mut self) -> Result<ValueType, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the type nests more than {DEPTH_MAX} types"));
        }
        let found = self.value_type_here()?;
        self.depth -= 1;
        Ok(found)
    }

    fn value_type_here(&mut self) -> Result<ValueType, String> {
        let start = self.at;
        Ok(match self.word() {
            "bool" => ValueType::Bool,
            "char" => ValueType::Char,
            "string" => ValueType::String,
            "u8" => ValueType::Unsigned(8),
            "u16" => ValueType::Unsigned(16),
            "u32" => ValueType::Unsigned(32),
            "u64" => ValueType::Unsigned(64),
            "s8" => ValueType::Signed(8),
            "s16" => ValueType::Signed(16),
            "s32" => ValueType::Signed(32),
            "s64" => ValueType::Signed(64),
            "f32" => ValueType::Float(32),
            "f64" => ValueType::Float(64),
            "list" => ValueType::List(Box::new(self.in_angles()?)),
            "option" => match self.in_angles()? {
                ValueType::Option(_) => {
                    return Err("an option in an option has no form in JSON".to_owned());
                }
                inner => ValueType::Option(Box::new(inner)),
            },
            "tuple" => ValueType::Tuple(self.items('<', '>', Self::value_type)?),
            "result" => self.result()?,
            "record" => ValueType::Record(self.named(Self::field)?),
            "variant" => ValueType::Variant(self.named(Self::case)?),
            "enum" => ValueType::Enum(self.names()?),
            "flags" => ValueType::Flags(self.names()?),
            _ => {
                self.at = start;
                return Err(self.expected("a type"));
            }
        })
    }

    fn in_angles(&mut self) -> Result<ValueType, String> {
        self.token('<')?;
        let inner = self.value_type()?;
        self.token('>')?;
        Ok(inner)
    }

    /// The rest of `result`, `result<T>`, `result<_, E>` or `result<T, E>`.
    fn result(&mut self) -> Result<ValueType, String> {
        if !self.takes('<') {
            return Ok(ValueType::Result(None, None));
        }
        let ok = match self.takes('_') {
            true => None,
            false => Some(Box::new(self.value_type()?)),
        };
        let err = match ok.is_none() || self.peeks(',') {
            true => {
                self.token(',')?;
                Some(Box::new(self.value_type()?))
            }
            false => None,
        };
        self.token('>')?;
        Ok(ValueType::Result(ok, err))
    }

    fn field(&mut self) -> Result<(String, ValueType), String> {
        let name = self.name()?;
        self.token(':')?;
        Ok((name, self.value_type()?))
    }

    fn case(&mut self) -> Result<(String, Option<ValueType>), String> {
        let name = self.name()?;
        if !self.takes('(') {
            return Ok((name, None));
        }
        let inner = self.value_type()?;
        self.token(')')?;
        Ok((name, Some(inner)))
    }

    /// Items in braces, each with another name.
    fn named<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<(String, T), String>,
    ) -> Result<Vec<(String, T)>, String> {
        let items = self.items('{', '}', item)?;
        for (index, (name, _)) in items.iter().enumerate() {
            if items[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("the name `{name}` is there twice"));
            }
        }
        Ok(items)
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        let items = self.named(|parser| Ok((parser.name()?, ())))?;
        Ok(items.into_iter().map(|(name, ())| name).collect())
    }

    /// At least one item between brackets. A comma may follow the last one.
    fn items<T>(
        &mut self,
        begin: char,
        end: char,
        item: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.token(begin)?;
        let mut items = Vec::new();
        loop {
            items.push(item(self)?);
            if self.takes(end) {
                return Ok(items);
            }
            if !self.takes(',') {
                return Err(self.expected(&format!("`,` or `{end}`")));
            }
            if self.takes(end) {
                return Ok(items);
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        self.skip_space();
        let start = self.at;
        // A `%` lets WIT use a keyword as a name.
        self.takes('%');
        let name = self.word();
        if is_name(name) {
            return Ok(name.to_owned());
        }
        self.at = start;
        Err(self.expected("a name of lower-case words with `-` between them"))
    }

    /// The letters, digits and `-` that follow.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn token(&mut self, token: char) -> Result<(), String> {
        match self.takes(token) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{token}`"))),
        }
    }

    fn takes(&mut self, token: char) -> bool {
        let is_next = self.peeks(token);
        if is_next {
            self.at += token.len_utf8();
        }
        is_next
    }

    fn peeks(&mut self, token: char) -> bool {
        self.skip_space();
        self.text[self.at..].starts_with(token)
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
    }

    fn expected(&self, expected: &str) -> String {
        format!("expected {expected} at byte {}", self.at)
    }
}
