//! Users, and the tokens that stand for their logins.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};

/// Time after which a login ends, however often its token was renewed.
const LOGIN: Duration = Duration::from_secs(12 * 60 * 60);

pub(crate) struct User {
    pub(crate) name: &'static str,
    /// An application stores a hash in its place, of Argon2 for example, and limits the attempts.
    password: &'static str,
    pub(crate) is_admin: bool,
}

const USERS: [User; 3] = [
    User { name: "ann", password: "ann-pass", is_admin: true },
    User { name: "bob", password: "bob-pass", is_admin: false },
    User { name: "cid", password: "cid-pass", is_admin: false },
];

/// Returns the user of this name.
pub(crate) fn user(name: &str) -> Option<&'static User> {
    USERS.iter().find(|user| user.name == name)
}

/// Content of a token. It is signed and not encrypted.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Login {
    /// Name of the user.
    pub(crate) sub: String,
    /// Number of the login, which its renewed tokens keep.
    pub(crate) id: u64,
    /// Number of revocations of the user before the login.
    generation: u64,
    /// Seconds since 1970 after which the token is refused.
    exp: u64,
    /// Seconds since 1970 after which the login is not renewed.
    ends: u64,
}

impl Login {
    pub(crate) fn expires_in(&self) -> Duration {
        Duration::from_secs(self.exp).saturating_sub(now())
    }
}

pub(crate) struct Logins {
    /// Random, so the tokens do not outlive the process. Several servers share a key.
    key: [u8; 32],
    lifetime: Duration,
    count: AtomicU64,
    /// Number of revocations of each user. Several servers keep it in their database.
    generations: Mutex<HashMap<String, u64>>,
}

impl Logins {
    /// Returns no logins. Their tokens expire after `lifetime`.
    pub(crate) fn new(lifetime: Duration) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system has random bytes");
        Self { key, lifetime, count: AtomicU64::new(0), generations: Mutex::default() }
    }

    /// Begins a login, if the password is that of the user.
    pub(crate) fn begin(&self, name: &str, password: &str) -> Option<Login> {
        let user = user(name).filter(|user| user.password == password)?;
        let (id, ends) = (self.count.fetch_add(1, Ordering::Relaxed), (now() + LOGIN).as_secs());
        Some(self.renewed(Login { sub: user.name.into(), id, generation: self.generation(name), exp: 0, ends }))
    }

    /// Returns the login with a later expiry.
    pub(crate) fn renewed(&self, login: Login) -> Login {
        Login { exp: (now() + self.lifetime).as_secs().min(login.ends), ..login }
    }

    /// Returns the token of a login.
    pub(crate) fn token(&self, login: &Login) -> String {
        encode(&Header::new(Algorithm::HS256), login, &EncodingKey::from_secret(&self.key)).expect("a login is JSON")
    }

    /// Returns the login of a token, unless the signature is wrong, or the token has expired or is revoked.
    pub(crate) fn verify(&self, token: &str) -> Option<Login> {
        let mut validation = Validation::new(Algorithm::HS256); // a token that names another algorithm is refused
        validation.leeway = 0; // 60 s otherwise
        let login = decode::<Login>(token, &DecodingKey::from_secret(&self.key), &validation).ok()?.claims;
        self.is_valid(&login).then_some(login)
    }

    /// Returns whether no revocation came after the login.
    pub(crate) fn is_valid(&self, login: &Login) -> bool {
        login.generation == self.generation(&login.sub)
    }

    /// Revokes all tokens of a user.
    pub(crate) fn revoke(&self, name: &str) {
        *self.generations.lock().expect("lock is not poisoned").entry(name.to_owned()).or_default() += 1;
    }

    fn generation(&self, name: &str) -> u64 {
        self.generations.lock().expect("lock is not poisoned").get(name).copied().unwrap_or_default()
    }
}

/// Returns the time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
