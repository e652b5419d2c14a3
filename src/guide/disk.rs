#![doc = include_str!("../../docs/disk.md")]
