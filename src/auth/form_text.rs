//! Text as a form holds it: what PHP's `urlencode` and `http_build_query` write.
//!
//! `A-Z a-z 0-9 - _ .` stand for themselves, a blank is `+`, every other byte `%XX` in upper case, `~` among them.

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

/// Appends `name=value`, after `&` where something stands there already. The name stands as it is.
pub fn push_field(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name);
    form.push('=');
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => form.push(char::from(byte)),
            b' ' => form.push('+'),
            _ => {
                form.push('%');
                form.extend([byte >> 4, byte & 15].map(digit));
            }
        }
    }
}

fn digit(half: u8) -> char {
    DIGITS.get(usize::from(half)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_as_php_writes_it() {
        let mut form = String::new();
        push_field(&mut form, "a", "The \"2.0\" Oauth version isn't ü~-_.");
        push_field(&mut form, "b", "http://127.0.0.1:18000/");
        let expected =
            "a=The+%222.0%22+Oauth+version+isn%27t+%C3%BC%7E-_.&b=http%3A%2F%2F127.0.0.1%3A18000%2F";
        assert_eq!(form, expected);
    }
}
