//! Session files as PHP writes them, made from the recorded ones.

use std::path::Path;

const CUSTOMER: &[u8] = include_bytes!("../vectors/session_customer_files.bin");
const ADMIN: &[u8] = include_bytes!("../vectors/session_admin_files.bin");

/// Writes the recorded customer's session into a folder, under another id and for another customer.
pub(crate) fn write_customer(folder: &Path, id: &str, owner: u32, visitor: u64) {
    let text = customer();
    let number = |name: &str, number: &str| format!("\"{name}\";s:{}:\"{number}\";", number.len());
    let text = text
        .replace(&number("customer_id", "1"), &number("customer_id", &owner.to_string()))
        .replace(&number("visitor_id", "44"), &number("visitor_id", &visitor.to_string()));
    write(folder, id, text.as_bytes());
}

/// The recorded customer's session.
pub(crate) fn customer() -> String {
    String::from_utf8(CUSTOMER.to_vec()).unwrap()
}

/// Writes the recorded admin's session into a folder, under another id.
pub(crate) fn write_admin(folder: &Path, id: &str) {
    write(folder, id, ADMIN);
}

/// Writes any text as a session.
pub(crate) fn write(folder: &Path, id: &str, text: &[u8]) {
    std::fs::write(folder.join(format!("sess_{id}")), text).unwrap();
}

/// Ends a session, as PHP's `session_destroy` does.
pub(crate) fn remove(folder: &Path, id: &str) {
    std::fs::remove_file(folder.join(format!("sess_{id}"))).unwrap();
}
