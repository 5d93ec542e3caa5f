//! ETags: the MD5 of the content where S3 makes it so, and otherwise nothing of the kind.

use md5::{Digest, Md5};

/// The ETag of bytes uploaded in one piece.
pub(super) fn etag(md5: [u8; 16]) -> String {
    md5.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The ETag of an object made of parts: the MD5 of their MD5s, and their number.
pub(super) fn multipart_etag(parts: &[[u8; 16]]) -> String {
    format!(
        "{}-{}",
        etag(Md5::digest(parts.concat()).into()),
        parts.len()
    )
}

/// An ETag that proves nothing about the content, as under KMS encryption: different for every
/// write, and never equal for two contents.
pub(super) fn opaque_etag(md5: [u8; 16], place: &str, serial: u64) -> String {
    let mut hasher = Md5::new();
    hasher.update(b"kms");
    hasher.update(md5);
    hasher.update(serial.to_be_bytes());
    hasher.update(place);
    etag(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_those_of_s3() {
        let md5 = Md5::digest(b"").into();
        assert_eq!(etag(md5), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            multipart_etag(&[md5, md5]),
            "5873dd45edd01f09c1ef2e7819369e8e-2"
        );
    }

    #[test]
    fn opaque_etags_differ_with_every_write() {
        let md5 = Md5::digest(b"").into();
        assert_ne!(opaque_etag(md5, "b/k", 1), opaque_etag(md5, "b/k", 2));
        assert_ne!(opaque_etag(md5, "b/k", 1), opaque_etag([0; 16], "b/k", 1));
    }
}
