#![doc = include_str!("../../docs/guide/migration.md")]
