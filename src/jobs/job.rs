//! The jobs there are, by name, and which rows are past their time for each.

use std::time::Duration;

use crate::{
    auth::{identity::UserType, time::UnixTime},
    config,
    store::{settings::Settings, sql::Stale},
};

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    /// Magento's cron job `outdated_authentication_failures_cleanup`.
    AuthenticationFailures,
    /// Magento's cron job `expired_tokens_cleanup`.
    ExpiredTokens,
    /// Nonces, which Magento cleans now and then when it saves one (`MAGENTO_AUTH` 3.4).
    Nonces,
    /// Handshakes that were not finished, which Magento cleans now and then when it saves a token (4.6), and their
    /// verifiers, which it never cleans.
    Handshakes,
    /// Revocations, which Magento never cleans.
    Revocations,
    /// What a rotation left valid for a while, when the while is over.
    Rotations,
}

impl Job {
    /// Every job.
    pub const ALL: [Self; 6] = [
        Self::AuthenticationFailures,
        Self::ExpiredTokens,
        Self::Nonces,
        Self::Handshakes,
        Self::Revocations,
        Self::Rotations,
    ];

    /// The name in commands, figures and the store; also that of its setting in `[jobs]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthenticationFailures => "authentication_failures",
            Self::ExpiredTokens => "expired_tokens",
            Self::Nonces => "nonces",
            Self::Handshakes => "handshakes",
            Self::Revocations => "revocations",
            Self::Rotations => "rotations",
        }
    }

    /// The job of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|job| job.name() == name)
    }

    /// How often it runs; `None`: never.
    #[must_use]
    pub const fn interval(self, settings: &config::Jobs) -> Option<Duration> {
        match self {
            Self::AuthenticationFailures => settings.authentication_failures,
            Self::ExpiredTokens => settings.expired_tokens,
            Self::Nonces => settings.nonces,
            Self::Handshakes => settings.handshakes,
            Self::Revocations => settings.revocations,
            Self::Rotations => settings.rotations,
        }
    }

    /// Which rows are past their time.
    pub(super) fn stale(self, now: UnixTime, jobs: &config::Jobs, settings: &Settings) -> Vec<Stale> {
        let (admin, customer) = (settings.admin_token_lifetime, settings.customer_token_lifetime);
        match self {
            Self::AuthenticationFailures => vec![Stale::AuthenticationFailures(now)],
            // A lifetime of zero deletes nothing (`MAGENTO_AUTH` 2.4, 14.1).
            Self::ExpiredTokens => [(UserType::Admin, admin), (UserType::Customer, customer)]
                .into_iter()
                .filter(|(_, lifetime)| !lifetime.is_zero())
                .map(|(user_type, lifetime)| Stale::UserTokens(user_type, now.minus(lifetime)))
                .collect(),
            Self::Nonces => vec![Stale::Nonces(now.minus(jobs.cleanup_period))],
            Self::Handshakes => vec![Stale::Handshakes(now.minus(jobs.cleanup_period))],
            // A revocation must outlive every token that it ended.
            Self::Revocations => {
                let logins = &settings.logins;
                let jwt = logins.admin_jwt_lifetime.max(logins.customer_jwt_lifetime);
                let longest = jobs.revocation_period.max(admin).max(customer).max(jwt);
                vec![Stale::Revocations(now.minus(longest))]
            }
            Self::Rotations => vec![Stale::OlderSecrets(now), Stale::OlderTokens(now)],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config::Config, store::settings::InForce};

    fn stale(job: Job, magento: &str) -> Vec<Stale> {
        let text = format!(
            "[upstream]\nurl = 'http://127.0.0.1:1'\n[store]\nurl = 'sqlite::memory:'\n[acl]\nmode = 'off'\n\
             [jobs]\nrevocation_period = '10d'\n[magento]\ncrypt_key = 'k'\n{magento}"
        );
        let config = Config::from_toml(&text, Path::new("")).unwrap();
        let settings = InForce::read(&config.magento.written, &[]).settings;
        job.stale(UnixTime::from_seconds(10_000_000), &config.jobs, &settings)
    }

    #[test]
    fn tokens_go_by_their_own_lifetime_and_a_lifetime_of_zero_deletes_none() {
        let at = UnixTime::from_seconds;
        let admins = Stale::UserTokens(UserType::Admin, at(10_000_000 - 4 * 3600));
        let customers = Stale::UserTokens(UserType::Customer, at(10_000_000 - 3600));
        assert_eq!(stale(Job::ExpiredTokens, ""), [admins, customers]);
        assert_eq!(stale(Job::ExpiredTokens, "customer_token_lifetime = '0s'"), [admins]);
    }

    #[test]
    fn a_revocation_outlives_every_token() {
        let at = |days: i64| Stale::Revocations(UnixTime::from_seconds(10_000_000 - days * 86_400));
        assert_eq!(stale(Job::Revocations, ""), [at(10)]);
        assert_eq!(stale(Job::Revocations, "admin_token_lifetime = '30d'"), [at(30)]);
    }

    #[test]
    fn every_job_is_found_by_its_name() {
        for job in Job::ALL {
            assert_eq!(Job::named(job.name()), Some(job));
        }
        assert_eq!(Job::named("all"), None);
    }
}
