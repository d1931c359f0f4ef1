//! The whole configuration: from the file and the environment to values that cannot be wrong.
//!
//! Sections are parsed in the order of the sample file; each notes its mistakes and goes on. Only when all are read
//! and nothing was noted does a [`Config`] exist.

use std::path::{Path, PathBuf};

use super::{
    acl::{Acl, AclFiles, AclMode},
    audit::Audit,
    cache::Cache,
    finding::{ConfigErrors, Finding, Source},
    forms::Forms,
    gather::{Gathered, file_text, folder_of},
    handshake::Handshake,
    headers::Headers,
    integrations::Integrations,
    jobs::Jobs,
    limits::Limits,
    listen::Listen,
    log::Log,
    magento::Magento,
    nonces::{NonceHome, Nonces},
    oauth::Oauth,
    raw::Raw,
    redis::Redis,
    reload::Reload,
    replies::Replies,
    report::{Report, Setting},
    scope::Scope,
    sessions::Sessions,
    store::Store,
    tokens::Tokens,
    tracing::Tracing,
    upstream::{Credentials, Upstream},
    version::MagentoVersion,
};

/// How the text given to [`Config::from_toml`] is called in messages.
const TEXT: &str = "<text>";

/// A complete and valid configuration, one part per topic.
#[derive(Debug, Clone)]
pub struct Config {
    /// How refusals are worded.
    pub replies: Replies,
    /// Where clients and operators connect.
    pub listen: Listen,
    /// The API behind us.
    pub upstream: Upstream,
    /// Where facts are kept.
    pub store: Store,
    /// What has to agree with Magento.
    pub magento: Magento,
    /// Which signatures count.
    pub oauth: Oauth,
    /// How nonces are remembered.
    pub nonces: Nonces,
    /// What replicas share, if they do.
    pub redis: Option<Redis>,
    /// How callers are remembered.
    pub cache: Cache,
    /// Which sessions count.
    pub sessions: Sessions,
    /// What is authenticated.
    pub scope: Scope,
    /// How permissions are checked.
    pub acl: Acl,
    /// Which integrations are declared.
    pub integrations: Integrations,
    /// Names for the upstream.
    pub headers: Headers,
    /// Bounds of collected forms.
    pub forms: Forms,
    /// How tokens are issued.
    pub tokens: Tokens,
    /// How often who may ask.
    pub limits: Limits,
    /// How integrations get their tokens.
    pub handshake: Handshake,
    /// What is logged.
    pub log: Log,
    /// Where spans of requests go, if anywhere.
    pub tracing: Option<Tracing>,
    /// When a change is taken up.
    pub reload: Reload,
    /// Where the record of credentials goes.
    pub audit: Audit,
    /// What is cleaned up, and when.
    pub jobs: Jobs,
    files: Vec<PathBuf>,
    settings: Vec<Setting>,
    warnings: Vec<Finding>,
}

impl Config {
    /// Loads a configuration from a file, if one is named, and the environment over it.
    ///
    /// Relative paths in the file start at its folder. Pass [`environment`] for the process's own variables.
    ///
    /// # Errors
    ///
    /// Every mistake at once. A file that cannot be read or is not TOML hides what it says, so that then only this
    /// and the names of variables are reported.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let text = path.map(|path| file_text(path).map(|text| (path, text))).transpose();
        match text {
            Ok(Some((path, text))) => Self::from_sources(Some((path, &text)), env, folder_of(path)),
            Ok(None) => Self::from_sources(None, env, PathBuf::new()),
            Err(unreadable) => {
                let mut gathered = Gathered::new();
                gathered.errors.push(unreadable);
                gathered.add_environment(env);
                Err(ConfigErrors::new(gathered.errors))
            }
        }
    }

    /// Reads a configuration from TOML text alone; relative paths start at `base`.
    ///
    /// # Errors
    ///
    /// Every mistake at once.
    pub fn from_toml(text: &str, base: &Path) -> Result<Self, ConfigErrors> {
        Self::from_sources(Some((Path::new(TEXT), text)), std::iter::empty(), base.to_owned())
    }

    /// Every setting in force, in the order of the sample file: its name, its value as text with secrets as `***`,
    /// and where it was written.
    #[must_use]
    pub fn effective(&self) -> &[Setting] {
        &self.settings
    }

    /// The files that this configuration was read from: its own, those of its secrets, those of the ACL.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What an operator should know about settings that are allowed.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    fn from_sources(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
        base: PathBuf,
    ) -> Result<Self, ConfigErrors> {
        let mut gathered = Gathered::new();
        let home = file.map_or(Source::Default, |(path, _)| Source::File(path.to_owned()));
        let is_toml = file.is_none_or(|(path, text)| gathered.add_text(path, text));
        gathered.add_environment(env);
        let Gathered { figment, mut errors } = gathered;
        if !is_toml {
            return Err(ConfigErrors::new(errors));
        }
        let raw = figment.extract::<Raw>().unwrap_or_else(|_| {
            // Its text could repeat a secret; only names that figment keeps for itself lead here.
            let text = "holds a name that is reserved; remove names that begin with ___figment".to_owned();
            errors.push(Finding { source: home.clone(), key: String::new(), text });
            Raw::default()
        });
        let own = file.map(|(path, _)| path.to_owned());
        let mut config = Self::parse(raw, Report::new(figment, home, base, errors))?;
        config.files.extend(own.filter(|path| path != Path::new(TEXT)));
        Ok(config)
    }

    fn parse(raw: Raw, mut report: Report) -> Result<Self, ConfigErrors> {
        let noted = &mut report;
        let replies = noted.take("replies", raw.replies, Replies::Magento);
        let listen = Listen::parse(raw.listen, noted);
        let is_magentos = raw.store.is_magentos();
        let upstream = Upstream::parse(raw.upstream, is_magentos, noted);
        let store = Store::parse(raw.store, noted);
        let magento = Magento::parse(raw.magento, store.as_ref(), noted);
        let credentials = upstream.as_ref().map_or(Credentials::Strip, |upstream| upstream.credentials);
        let version = magento.as_ref().map_or(MagentoVersion::V246, |magento| magento.version);
        let oauth = Oauth::parse(raw.oauth, (credentials, version), noted);
        let nonces = Nonces::parse(raw.nonces, noted);
        let redis = Redis::parse(raw.redis, noted);
        check_nonces(&nonces, redis.as_ref(), noted);
        let (cache, sessions) = (Cache::parse(raw.cache, noted), Sessions::parse(raw.sessions, noted));
        let scope = Scope::parse(raw.scope, noted);
        let acl = Acl::parse(raw.acl, scope.authenticate, noted);
        let integrations = Integrations::parse(raw.integrations, noted);
        let headers = Headers::parse(raw.headers, noted);
        let forms = Forms::parse(raw.forms, noted);
        let tokens = Tokens::parse(raw.tokens, raw.compat, credentials, noted);
        let limits = Limits::parse(raw.limits, redis.as_ref(), noted);
        let handshake = Handshake::parse(raw.handshake, (credentials, oauth.origin.as_ref()), noted);
        let (log, tracing) = (Log::parse(raw.log, noted), Tracing::parse(raw.tracing, noted));
        let (reload, audit) = (Reload::parse(raw.reload, noted), Audit::parse(raw.audit, noted));
        let jobs = Jobs::parse(raw.jobs, (oauth.timestamp_window, is_magentos), noted);
        check_together((upstream.as_ref(), acl.as_ref()), &headers, credentials, noted);

        let mut files = report.files().to_vec();
        files.extend(acl.iter().filter_map(|acl| acl.mode.files()).flat_map(AclFiles::paths));
        let (settings, warnings) = report.close()?;
        let (Some(upstream), Some(store), Some(magento), Some(acl)) = (upstream, store, magento, acl) else {
            // A part is missing only when its mistake was noted; should that ever fail, nothing starts.
            return Err(ConfigErrors::new(Vec::new()));
        };
        Ok(Self {
            replies,
            listen,
            upstream,
            store,
            magento,
            oauth,
            nonces,
            redis,
            cache,
            sessions,
            scope,
            acl,
            integrations,
            headers,
            forms,
            tokens,
            limits,
            handshake,
            log,
            tracing,
            reload,
            audit,
            jobs,
            files,
            settings,
            warnings,
        })
    }
}

/// The variables of this process; the only place where its environment is read.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// What no section can see alone.
fn check_together(
    (upstream, acl): (Option<&Upstream>, Option<&Acl>),
    headers: &Headers,
    credentials: Credentials,
    report: &mut Report,
) {
    check_proof(upstream, headers, report);
    check_shadow(acl, credentials, report);
}

/// Nonces have to be somewhere.
fn check_nonces(nonces: &Nonces, redis: Option<&Redis>, report: &mut Report) {
    let is_named =
        ["redis.url", "redis.nodes", "redis.sentinel_master"].iter().any(|key| report.is_wrong(key));
    if nonces.store == NonceHome::Redis && redis.is_none() && !is_named {
        report.error("nonces.store", "\"redis\" needs one; write redis.url");
    }
}

/// There is nothing to compare with where the upstream sees no credentials.
fn check_shadow(acl: Option<&Acl>, credentials: Credentials, report: &mut Report) {
    let is_shadow = acl.is_some_and(|acl| matches!(acl.mode, AclMode::Shadow(_)));
    if is_shadow && credentials == Credentials::Strip {
        let way_out = "set upstream.credentials to \"forward\", so that the upstream can judge too";
        report.error("acl.mode", format!("\"shadow\" compares with the upstream's verdict; {way_out}"));
    }
}

/// The proof must not be one of our own headers: what the upstream reads as an identity would be the secret.
fn check_proof(upstream: Option<&Upstream>, headers: &Headers, report: &mut Report) {
    let proof = upstream.and_then(|upstream| upstream.proof.as_ref());
    if let Some(proof) = proof.filter(|proof| headers.claims(proof.header().as_str())) {
        let text = format!(
            "{} begins with headers.prefix; choose a name such as \"X-Portcullis-Proof\"",
            proof.header()
        );
        report.error("upstream.proof.header", text);
    }
}
