//! The certificates of a cluster: one authority, a server, and a client per component.

use crate::{TestbedError, at};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};

/// An authority whose files lie in a directory.
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority; writes `ca.crt`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(directory: &Path) -> Result<Self, TestbedError> {
        at(directory, fs::create_dir_all(directory))?;
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        parameters
            .distinguished_name
            .push(DnType::CommonName, "podium-testbed");
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        write(&directory.join("ca.crt"), &certificate.pem())?;
        Ok(Self {
            directory: directory.to_path_buf(),
            issuer: Issuer::new(parameters, key),
        })
    }

    /// Writes `NAME.crt` and `NAME.key` of a client with this user name and group.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn client(&self, name: &str, user: &str, group: &str) -> Result<(), TestbedError> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, user);
        parameters
            .distinguished_name
            .push(DnType::OrganizationName, group);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(name, parameters)
    }

    /// Writes `NAME.crt` and `NAME.key` of a server with these names and addresses.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn server(&self, name: &str, names: &[&str]) -> Result<(), TestbedError> {
        // What reads as an address becomes one.
        let mut parameters =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(name, parameters)
    }

    fn sign(&self, name: &str, mut parameters: CertificateParams) -> Result<(), TestbedError> {
        parameters.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        write(
            &self.directory.join(format!("{name}.crt")),
            &certificate.pem(),
        )?;
        write(
            &self.directory.join(format!("{name}.key")),
            &key.serialize_pem(),
        )
    }
}

/// Writes the key pair that signs tokens of service accounts: `service-account.key` and `service-account.pub`.
///
/// # Errors
/// A file cannot be written.
pub fn service_account_key(directory: &Path) -> Result<(), TestbedError> {
    let key = KeyPair::generate()?;
    write(&directory.join("service-account.key"), &key.serialize_pem())?;
    write(
        &directory.join("service-account.pub"),
        &key.public_key_pem(),
    )
}

fn write(path: &Path, text: &str) -> Result<(), TestbedError> {
    at(path, fs::write(path, text))
}
