//! The format: Web3 Secret Storage, version 3.
//!
//! A password and a salt make a derived key of 32 bytes. Its second half authenticates the encrypted
//! private key, and its first half decrypts it.

use aes::Aes128;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::{Keccak256, hex};
use ctr::Ctr128BE;
use pbkdf2::pbkdf2_hmac;
use scrypt::Params;
use serde::{Deserialize, Deserializer};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeystoreError, SCRYPT_MEMORY_BYTES_MAX};

/// The most work of scrypt beside its memory: `p` passes over the memory.
const SCRYPT_PASSES_MAX: u32 = 16;

/// The most iterations of PBKDF2: about ten seconds. Keystores have 262,144.
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;

/// The length of the derived key, in bytes.
const DERIVED_BYTES: usize = 32;

#[derive(Deserialize)]
struct File {
    version: u64,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: Hex,
    kdf: String,
    kdfparams: serde_json::Value,
    mac: Hex,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: Hex,
}

#[derive(Deserialize)]
struct Scrypt {
    dklen: usize,
    n: u64,
    r: u32,
    p: u32,
    salt: Hex,
}

#[derive(Deserialize)]
struct Pbkdf2 {
    dklen: usize,
    c: u32,
    prf: String,
    salt: Hex,
}

/// Bytes, written as hexadecimal digits with or without `0x`.
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(text).map_err(|_| serde::de::Error::custom("not hexadecimal"))?;
        Ok(Self(bytes))
    }
}

/// Decrypts a keystore. Blocks for about a second.
///
/// # Errors
///
/// [`KeystoreError`] for another format, a bound, or a password that does not fit.
pub(super) fn decrypt(json: &[u8], password: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    use KeystoreError::Format;

    // The error of serde can contain a part of the file.
    let file: File = serde_json::from_slice(json).map_err(|_| Format("a key is missing or has another type"))?;
    let crypto = file.crypto;
    if file.version != 3 {
        return Err(Format("expected \"version\": 3"));
    }
    if crypto.cipher != "aes-128-ctr" {
        return Err(Format("expected the cipher aes-128-ctr"));
    }
    let iv: [u8; 16] = array(&crypto.cipherparams.iv.0).ok_or(Format("expected an iv of 16 bytes"))?;
    let mac: [u8; 32] = array(&crypto.mac.0).ok_or(Format("expected a mac of 32 bytes"))?;
    let encrypted: [u8; 32] = array(&crypto.ciphertext.0).ok_or(Format("expected a ciphertext of 32 bytes"))?;
    let derived = match &*crypto.kdf {
        "scrypt" => of_scrypt(crypto.kdfparams, password)?,
        "pbkdf2" => of_pbkdf2(crypto.kdfparams, password)?,
        _ => return Err(Format("expected the kdf scrypt or pbkdf2")),
    };
    let (cipher_key, mac_key) = derived.split_at(DERIVED_BYTES / 2);
    let mut hasher = Keccak256::new();
    hasher.update(mac_key);
    hasher.update(encrypted);
    if hasher.finalize() != mac {
        return Err(KeystoreError::WrongPassword);
    }
    let mut secret = Zeroizing::new(encrypted);
    let mut cipher =
        Ctr128BE::<Aes128>::new_from_slices(cipher_key, &iv).map_err(|_| Format("the key has no 16 bytes"))?;
    cipher.apply_keystream(secret.as_mut_slice());
    Ok(secret)
}

fn of_scrypt(params: serde_json::Value, password: &[u8]) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, KeystoreError> {
    use KeystoreError::Format;

    let Scrypt { dklen, n, r, p, salt } = read(params)?;
    if dklen != DERIVED_BYTES {
        return Err(Format("expected \"dklen\": 32"));
    }
    if !n.is_power_of_two() || n < 2 {
        return Err(Format("expected a power of two as \"n\""));
    }
    let memory = n.checked_mul(128).and_then(|bytes| bytes.checked_mul(u64::from(r)));
    if memory.is_none_or(|bytes| bytes > SCRYPT_MEMORY_BYTES_MAX) || p > SCRYPT_PASSES_MAX {
        return Err(Format(
            "scrypt takes too much memory or time: at most 1 GiB, and \"p\" at most 16",
        ));
    }
    let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
    let params =
        Params::new(log_n, r, p, DERIVED_BYTES).map_err(|_| Format("the parameters of scrypt are not valid"))?;
    let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
    scrypt::scrypt(password, &salt.0, &params, derived.as_mut_slice())
        .map_err(|_| Format("the parameters of scrypt are not valid"))?;
    Ok(derived)
}

fn of_pbkdf2(params: serde_json::Value, password: &[u8]) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, KeystoreError> {
    use KeystoreError::Format;

    let Pbkdf2 { dklen, c, prf, salt } = read(params)?;
    if dklen != DERIVED_BYTES || prf != "hmac-sha256" {
        return Err(Format("expected \"dklen\": 32 and \"prf\": \"hmac-sha256\""));
    }
    if !(1..=PBKDF2_ITERATIONS_MAX).contains(&c) {
        return Err(Format("expected \"c\" from 1 to 10,000,000"));
    }
    let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
    pbkdf2_hmac::<Sha256>(password, &salt.0, c, derived.as_mut_slice());
    Ok(derived)
}

fn read<T: serde::de::DeserializeOwned>(params: serde_json::Value) -> Result<T, KeystoreError> {
    serde_json::from_value(params)
        .map_err(|_| KeystoreError::Format("a key of \"kdfparams\" is missing or has another type"))
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}
