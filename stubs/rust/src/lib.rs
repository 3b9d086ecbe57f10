//! Messages and gRPC services of Waggle, generated from its protos.

/// The package `waggle.v1`.
pub mod v1 {
    include!("waggle.v1.rs");
}

/// The protos themselves, as a `google.protobuf.FileDescriptorSet`: for
/// reflection, and for JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("descriptor_set.bin");
