#![doc = include_str!("../../docs/guide/broadcast.md")]
