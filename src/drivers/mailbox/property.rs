//! Messages of the property channel: encoding a request, judging an answer. Pure: words in, words out.
//!
//! A message holds one tag here, though the format allows several: a tag that the firmware does not know then cannot take others with it.
//!
//! | word | request | answer |
//! |---|---|---|
//! | 0 | size of the message in bytes | the same |
//! | 1 | 0 | [`ALL_ANSWERED`] or [`PARSE_ERROR`] |
//! | 2 | tag | the same |
//! | 3 | size of the value buffer in bytes | the same |
//! | 4 | 0 | [`TAG_ANSWERED`] and the length of the value in bytes |
//! | 5... | value, padded to whole words | value |
//! | last | 0, the end tag | the same |
//!
//! The answer comes from another processor over memory: nothing in it is believed before it is checked.
//!
//! Source: Raspberry Pi firmware wiki, "Mailbox property interface" (also vcmailbox(7)).

use core::fmt;

use crate::util::errno::Errno;

/// Words before the value.
const HEADER_WORDS: usize = 5;
/// Word 1 of an answer: every tag was looked at.
const ALL_ANSWERED: u32 = 0x8000_0000;
/// Word 1 of an answer: the firmware gave up on the message.
const PARSE_ERROR: u32 = 0x8000_0001;
/// Set in word 4 by the firmware when it answers the tag; the length is below it.
const TAG_ANSWERED: u32 = 1 << 31;

/// Why a property call gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxError {
    /// No answer came in time. The firmware may still write the buffer; the next call waits for that first.
    Timeout,
    /// The firmware could not parse the message.
    FirmwareError,
    /// The firmware does not know the tag, or has no value for it (QEMU and old firmware know few).
    TagNotAnswered,
    /// The answer is not an answer to what was asked: its header was changed, or its value has the wrong size.
    BadResponse,
    /// Request or answer is longer than the buffer.
    TooLong,
    /// The buffer is not 16-byte aligned within the first GiB, where the VideoCore can reach it.
    BadBuffer,
}

impl From<MailboxError> for Errno {
    fn from(error: MailboxError) -> Errno {
        match error {
            MailboxError::Timeout => Errno::ETIMEDOUT,
            MailboxError::FirmwareError => Errno::EREMOTEIO,
            MailboxError::TagNotAnswered => Errno::EOPNOTSUPP,
            MailboxError::BadResponse => Errno::EBADMSG,
            MailboxError::TooLong => Errno::EMSGSIZE,
            MailboxError::BadBuffer => Errno::EFAULT,
        }
    }
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MailboxError::Timeout => "the firmware did not answer in time",
            MailboxError::FirmwareError => "the firmware could not parse the message",
            MailboxError::TagNotAnswered => "the firmware does not know this property",
            MailboxError::BadResponse => "the firmware's answer is malformed",
            MailboxError::TooLong => "message too long",
            MailboxError::BadBuffer => "the message buffer is out of the firmware's reach",
        })
    }
}

/// Writes a request for `tag` into `message`: `request` as its value, with room for an answer of `answer_bytes`. Returns its size in bytes.
///
/// # Errors
/// [`MailboxError::TooLong`] if `message` is too small; it is unchanged then.
///
/// Context: any.
pub(super) fn encode(message: &mut [u32], tag: u32, request: &[u32], answer_bytes: usize) -> Result<usize, MailboxError> {
    let value_words = request.len().max(answer_bytes.div_ceil(4));
    let total_words = HEADER_WORDS + value_words + 1;
    let message = message.get_mut(..total_words).ok_or(MailboxError::TooLong)?;
    message.fill(0);
    message[0] = (total_words * 4) as u32;
    message[2] = tag;
    message[3] = (value_words * 4) as u32;
    message[HEADER_WORDS..][..request.len()].copy_from_slice(request);
    Ok(total_words * 4)
}

/// The value that the firmware put into `message` for `tag`, and its length in bytes.
///
/// # Errors
/// All but `Timeout` and `BadBuffer`, see [`MailboxError`].
///
/// Context: any.
pub(super) fn decode(message: &[u32], tag: u32) -> Result<(&[u32], usize), MailboxError> {
    let (header, rest) = message.split_first_chunk::<HEADER_WORDS>().ok_or(MailboxError::BadResponse)?;
    let &[_, code, answered_tag, value_bytes, indicator] = header;
    if code != ALL_ANSWERED && code != PARSE_ERROR || answered_tag != tag {
        return Err(MailboxError::BadResponse);
    }
    if indicator & TAG_ANSWERED == 0 {
        return Err(MailboxError::TagNotAnswered);
    }
    if code == PARSE_ERROR {
        return Err(MailboxError::FirmwareError);
    }
    let length = (indicator & !TAG_ANSWERED) as usize;
    // The firmware tells the length it would have needed, and gives what fits.
    if length > value_bytes as usize {
        return Err(MailboxError::TooLong);
    }
    let value = rest.get(..length.div_ceil(4)).ok_or(MailboxError::BadResponse)?;
    Ok((value, length))
}

/// The first `N` words of the value in `message`.
///
/// # Errors
/// As [`decode`]; [`MailboxError::TagNotAnswered`] if the value is empty, [`MailboxError::BadResponse`] if it is shorter.
///
/// Context: any.
pub(super) fn decode_words<const N: usize>(message: &[u32], tag: u32) -> Result<[u32; N], MailboxError> {
    let (value, length) = decode(message, tag)?;
    // QEMU marks tags that it does not know as answered, by nothing.
    if length == 0 {
        return Err(MailboxError::TagNotAnswered);
    }
    if length < N * 4 {
        return Err(MailboxError::BadResponse);
    }
    value.first_chunk::<N>().copied().ok_or(MailboxError::BadResponse)
}

/// Copies the text in `message` to `text`, up to its first NUL if it has one, and returns its length.
///
/// # Errors
/// As [`decode`]; [`MailboxError::TooLong`] if `text` is too small.
///
/// Context: any.
pub(super) fn decode_text(message: &[u32], tag: u32, text: &mut [u8]) -> Result<usize, MailboxError> {
    let (value, length) = decode(message, tag)?;
    let bytes = value.iter().flat_map(|word| word.to_le_bytes()).take(length).take_while(|&byte| byte != 0);
    let mut copied = 0;
    for byte in bytes {
        *text.get_mut(copied).ok_or(MailboxError::TooLong)? = byte;
        copied += 1;
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: u32 = 0x0001_0002;

    /// What a good firmware makes of a request.
    fn answer(message: &mut [u32], value: &[u32], length: u32) {
        message[1] = ALL_ANSWERED;
        message[4] = TAG_ANSWERED | length;
        let room = message.len() - HEADER_WORDS;
        let fits = value.len().min(room);
        message[HEADER_WORDS..][..fits].copy_from_slice(&value[..fits]);
    }

    #[test]
    fn request_layout() {
        let mut message = [u32::MAX; 16];
        assert_eq!(encode(&mut message, 0x0003_0002, &[2], 8), Ok(32));
        assert_eq!(message[..9], [32, 0, 0x0003_0002, 8, 0, 2, 0, 0, u32::MAX]);
        assert_eq!(encode(&mut message, TAG, &[], 4 * 11), Err(MailboxError::TooLong));
        assert_eq!(encode(&mut message, TAG, &[], 4 * 10), Ok(64));
    }

    #[test]
    fn answers_and_refusals() {
        let mut message = [0; 16];
        encode(&mut message, TAG, &[], 8).unwrap();
        assert_eq!(decode(&message, TAG), Err(MailboxError::BadResponse), "untouched by the firmware");
        answer(&mut message, &[0xb0_3115], 4);
        assert_eq!(decode_words(&message, TAG), Ok([0xb0_3115]));
        assert_eq!(decode_words::<2>(&message, TAG), Err(MailboxError::BadResponse), "half a value");
        assert_eq!(decode(&message, TAG + 1), Err(MailboxError::BadResponse), "another tag");
        message[4] = TAG_ANSWERED;
        assert_eq!(decode_words::<1>(&message, TAG), Err(MailboxError::TagNotAnswered), "as QEMU does");
        message[4] = TAG_ANSWERED | 12;
        assert_eq!(decode(&message, TAG), Err(MailboxError::TooLong));
        message[4] = 4;
        assert_eq!(decode(&message, TAG), Err(MailboxError::TagNotAnswered));
        message[1] = PARSE_ERROR;
        assert_eq!(decode(&message, TAG), Err(MailboxError::TagNotAnswered));
        message[4] |= TAG_ANSWERED;
        assert_eq!(decode(&message, TAG), Err(MailboxError::FirmwareError));
    }

    #[test]
    fn text_ends_at_nul_or_at_its_length() {
        let mut message = [0; 16];
        let mut text = [0; 8];
        encode(&mut message, TAG, &[], 16).unwrap();
        let words = [*b"loud", *b"\0est"].map(u32::from_le_bytes);
        answer(&mut message, &words, 8);
        assert_eq!(decode_text(&message, TAG, &mut text), Ok(4));
        assert_eq!(&text[..4], b"loud");
        answer(&mut message, &words, 3);
        assert_eq!(decode_text(&message, TAG, &mut text), Ok(3));
        answer(&mut message, &[u32::from_le_bytes(*b"abcd"); 3], 12);
        assert_eq!(decode_text(&message, TAG, &mut text), Err(MailboxError::TooLong));
    }

    proptest! {
        #[test]
        fn round_trip(tag: u32, value in prop::collection::vec(any::<u32>(), 0..20)) {
            let mut message = [0; 32];
            let bytes = value.len() * 4;
            prop_assert_eq!(encode(&mut message, tag, &[], bytes), Ok(bytes + 24));
            answer(&mut message, &value, bytes as u32);
            prop_assert_eq!(decode(&message, tag), Ok((&value[..], bytes)));
        }

        /// Garbage, and near misses: a good answer with words overwritten. Any result will do, but a value must lie within the message.
        #[test]
        fn garbage_is_survived(
            mut message in prop::collection::vec(any::<u32>(), 0..40),
            good in any::<bool>(),
            damage in prop::collection::vec((0usize..40, any::<u32>()), 0..4),
        ) {
            if good && encode(&mut message, TAG, &[], 32).is_ok() {
                answer(&mut message, &[7; 8], 32);
            }
            for (at, word) in damage {
                if let Some(place) = message.get_mut(at) {
                    *place = word;
                }
            }
            if let Ok((value, length)) = decode(&message, TAG) {
                prop_assert!(length.div_ceil(4) == value.len() && value.len() + HEADER_WORDS <= message.len());
            }
            let mut text = [0; 16];
            if let Ok(copied) = decode_text(&message, TAG, &mut text) {
                prop_assert!(copied <= text.len() && !text[..copied].contains(&0));
            }
            let _ = decode_words::<4>(&message, TAG);
        }
    }
}
