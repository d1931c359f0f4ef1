//! `[listen.tls]` and `[listen.admin_tls]`: which certificates a listener shows and which it asks for.
//!
//! Only names of files are held here; whether they hold what they should is for the server, which reads them at start, at
//! `check` and at each reload.

use std::{path::PathBuf, time::Duration};

use figment::value::{Dict, Value};

use super::{
    finding::shown,
    lenient::{Leaf, Lenient, Words, kind},
    raw::RawTls,
    report::Report,
};

/// What `[[…certificates]]` can say.
const FIELDS: [&str; 2] = ["certificate_file", "key_file"];

/// How a listener speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// What clients are shown; the first is for those who name nobody.
    pub certificates: Vec<CertificateFiles>,
    /// Whether a client that names nobody we have a certificate for is turned away.
    pub strict_sni: bool,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Who signs the certificates of clients.
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients are asked for one.
    pub client_auth: ClientAuth,
}

/// A certificate with its chain, and the key to it, each in a PEM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those that it was signed by.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No.
    Off,
    /// Asked; one that is shown must be good.
    Optional,
    /// Without a good one there is no connection.
    Required,
}

/// The names of one listener's settings.
pub(super) struct TlsKeys {
    pub(super) certificate_file: &'static str,
    pub(super) key_file: &'static str,
    pub(super) certificates: &'static str,
    pub(super) strict_sni: &'static str,
    pub(super) handshake_timeout: &'static str,
    pub(super) client_ca_file: &'static str,
    pub(super) client_auth: &'static str,
}

/// `[listen.tls]`.
pub(super) const PROXY: TlsKeys = TlsKeys {
    certificate_file: "listen.tls.certificate_file",
    key_file: "listen.tls.key_file",
    certificates: "listen.tls.certificates",
    strict_sni: "listen.tls.strict_sni",
    handshake_timeout: "listen.tls.handshake_timeout",
    client_ca_file: "listen.tls.client_ca_file",
    client_auth: "listen.tls.client_auth",
};

/// `[listen.admin_tls]`.
pub(super) const ADMIN: TlsKeys = TlsKeys {
    certificate_file: "listen.admin_tls.certificate_file",
    key_file: "listen.admin_tls.key_file",
    certificates: "listen.admin_tls.certificates",
    strict_sni: "listen.admin_tls.strict_sni",
    handshake_timeout: "listen.admin_tls.handshake_timeout",
    client_ca_file: "listen.admin_tls.client_ca_file",
    client_auth: "listen.admin_tls.client_auth",
};

impl Words for ClientAuth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("optional", Self::Optional), ("required", Self::Required)];
}

impl Tls {
    /// Reads a listener's settings; `None` where no certificate is named.
    pub(super) fn parse(raw: RawTls, keys: &TlsKeys, report: &mut Report) -> Option<Self> {
        let RawTls {
            certificate_file,
            key_file,
            certificates,
            strict_sni,
            handshake_timeout,
            client_ca_file,
            client_auth,
        } = raw;
        let first = first(certificate_file, key_file, keys, report);
        let more = further(certificates, keys, report);
        let seconds = Duration::from_secs;
        let tls = Self {
            certificates: first.into_iter().chain(more).collect(),
            strict_sni: report.take(keys.strict_sni, strict_sni, false),
            handshake_timeout: report.take_within(
                keys.handshake_timeout,
                handshake_timeout,
                seconds(10),
                Duration::from_millis(100)..=seconds(60),
            ),
            client_ca_file: report.take_path(keys.client_ca_file, client_ca_file),
            client_auth: report.take(keys.client_auth, client_auth, ClientAuth::Off),
        };
        tls.check(keys, report);
        for path in tls.files() {
            report.has_read(path);
        }
        (!tls.certificates.is_empty()).then_some(tls)
    }

    /// Every file that is read for it.
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.certificates.iter().flat_map(|files| [&files.certificate, &files.key]);
        pairs.chain(&self.client_ca_file)
    }

    fn check(&self, keys: &TlsKeys, report: &mut Report) {
        let asks = self.client_auth != ClientAuth::Off;
        if asks && self.client_ca_file.is_none() && !report.is_wrong(keys.client_ca_file) {
            let text = format!("asks for certificates; name who signs them in {}", keys.client_ca_file);
            report.error(keys.client_auth, text);
        }
        if !asks && self.client_ca_file.is_some() {
            let text = format!("nobody is asked; set {} to \"optional\" or \"required\"", keys.client_auth);
            report.error(keys.client_ca_file, text);
        }
        let is_wrong = [keys.certificate_file, keys.key_file, keys.certificates]
            .into_iter()
            .any(|key| report.is_wrong(key));
        if self.certificates.is_empty() && !is_wrong && (asks || self.strict_sni) {
            let key = if asks { keys.client_auth } else { keys.strict_sni };
            report.error(key, format!("there is no TLS without {}", keys.certificate_file));
        }
    }
}

/// The certificate of a listener that has only one.
fn first(
    certificate: Lenient<PathBuf>,
    key: Lenient<PathBuf>,
    keys: &TlsKeys,
    report: &mut Report,
) -> Option<CertificateFiles> {
    let written = (certificate.is_written(), key.is_written());
    let certificate = report.take_path(keys.certificate_file, certificate);
    let key = report.take_path(keys.key_file, key);
    match written {
        (true, false) => report.error(keys.key_file, "is required; name the certificate's private key"),
        (false, true) => report.error(keys.certificate_file, "is required; name the key's certificate"),
        (true, true) | (false, false) => {}
    }
    Some(CertificateFiles { certificate: certificate?, key: key? })
}

/// Those of `[[…certificates]]`.
fn further(
    written: Lenient<Vec<CertificateFiles>>,
    keys: &TlsKeys,
    report: &mut Report,
) -> Vec<CertificateFiles> {
    let mut pairs = report.take(keys.certificates, written, Vec::new());
    for files in &mut pairs {
        files.certificate = report.resolve(keys.certificates, &files.certificate);
        files.key = report.resolve(keys.certificates, &files.key);
    }
    report.show(keys.certificates, pairs.show());
    pairs
}

impl Leaf for CertificateFiles {
    fn read(value: &Value) -> Result<Self, String> {
        let Some(table) = value.as_dict() else {
            return Err(format!("{} is not a table with {}", kind(value), FIELDS.join(" and ")));
        };
        if let Some(unknown) = table.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(format!("\"{}\" is not known here; write {}", shown(unknown), FIELDS.join(" and ")));
        }
        Ok(Self { certificate: path(table, "certificate_file")?, key: path(table, "key_file")? })
    }

    fn show(&self) -> String {
        self.certificate.display().to_string()
    }
}

fn path(table: &Dict, name: &str) -> Result<PathBuf, String> {
    let value = table.get(name).ok_or_else(|| format!("{name} is missing"))?;
    <PathBuf as Leaf>::read(value).map_err(|reason| format!("{name}: {reason}"))
}
