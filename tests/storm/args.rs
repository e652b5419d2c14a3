use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// Options `--name value`, each of which is read once.
#[derive(Debug)]
pub(crate) struct Args(BTreeMap<String, String>);

impl Args {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            let name = name.strip_prefix("--").ok_or_else(|| format!("'{name}' is no --option"))?;
            found.insert(name.to_owned(), value);
        }
        Ok(Self(found))
    }

    pub(crate) fn or<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, String> {
        Ok(self.get(name)?.unwrap_or(default))
    }

    pub(crate) fn get<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| format!("--{name} does not take '{value}'"))
    }

    pub(crate) fn need<T: FromStr>(&mut self, name: &str) -> Result<T, String> {
        self.get(name)?.ok_or_else(|| format!("--{name} is missing"))
    }

    pub(crate) fn millis(&mut self, name: &str) -> Result<Option<Duration>, String> {
        Ok(self.get(name)?.map(Duration::from_millis))
    }

    /// Fails if an option was not read.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.0.keys().next() {
            Some(name) => Err(format!("unknown option --{name}")),
            None => Ok(()),
        }
    }
}
