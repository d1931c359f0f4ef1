//! Magento's search for a route as it stands, slowly: what the tree of segments is compared with.
//!
//! For tests and fuzz targets. A path equal to a template wins; else the templates are filtered by the path's first two
//! words, sorted, and compared one by one; the last that fits wins.

use std::cmp::Ordering;

/// The template that a path reaches; `is_magento` says whether the first two segments are compared as words.
pub(super) fn matched<'t>(templates: &[&'t str], path: &str, is_magento: bool) -> Option<&'t str> {
    if let Some(exact) = templates.iter().find(|template| **template == path) {
        return Some(exact);
    }
    // Nothing stands where a variable could; behind the prefix rule Magento never comes here.
    if path.trim_matches('/').is_empty() {
        return None;
    }
    let prefix = word_prefix(path);
    let mut sorted = templates.to_vec();
    sorted.sort_unstable();
    let theirs: Vec<_> = path.trim_matches('/').split('/').collect();
    let fits = |template: &&&str| {
        let ours: Vec<_> = template.trim_matches('/').split('/').collect();
        let passes = !is_magento
            || prefix.as_ref().is_some_and(|prefix| template.trim_matches('/').starts_with(prefix.as_str()));
        passes
            && ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(one, other)| one.starts_with(':') || php_equal(one, other))
    };
    sorted.iter().rfind(fits).copied()
}

/// PHP 8's `==` on two strings without blanks: as numbers where both are, unless both are beyond the integers.
fn php_equal(literal: &str, segment: &str) -> bool {
    if literal == segment {
        return true;
    }
    let (Some(one), Some(other)) = (number(literal), number(segment)) else { return false };
    let beyond = |number: f64| number.abs() >= i64::MAX as f64;
    let integers = literal.parse::<i64>().ok().zip(segment.parse::<i64>().ok());
    match integers {
        Some((one, other)) => one == other,
        None => one.partial_cmp(&other) == Some(Ordering::Equal) && !(beyond(one) && beyond(other)),
    }
}

/// A numeric string: a sign, digits with a point, an exponent.
fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_mantissa = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let has_exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if has_mantissa && has_exponent { text.parse().ok() } else { None }
}

/// What `^/?\w+/\w+` matches of a path, without the slash in front.
fn word_prefix(path: &str) -> Option<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let word = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let first = word(path);
    let rest = path.get(first..)?.strip_prefix('/')?;
    let second = word(rest);
    (first > 0 && second > 0).then(|| {
        format!("{}/{}", path.get(..first).unwrap_or_default(), rest.get(..second).unwrap_or_default())
    })
}
