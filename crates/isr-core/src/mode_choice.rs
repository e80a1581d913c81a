//! How copies are treated, and who says so.

use serde::{Deserialize, Serialize};

use crate::Mode;

/// The mode of a revalidation, and whether its caller chose it.
///
/// What the caller chose is carried out as it stands. What is only the site's `usual` mode may be carried
/// out more softly where very many pages are concerned, so that the origin is not stampeded. A mode by
/// itself (`Mode::Hard.into()`) is a chosen one, and so is that of a receipt stored by a release that did not
/// tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModeChoice {
    mode: Mode,
    #[serde(
        rename = "mode_is_usual",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    is_usual: bool,
}

impl ModeChoice {
    /// A mode that the caller has chosen.
    #[must_use]
    pub const fn chosen(mode: Mode) -> Self {
        let is_usual = false;
        Self { mode, is_usual }
    }

    /// The mode that the site has for callers who choose none.
    #[must_use]
    pub const fn usual(mode: Mode) -> Self {
        let is_usual = true;
        Self { mode, is_usual }
    }

    /// The mode: generations move by it, whoever chose it.
    #[must_use]
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// Whether the caller chose it.
    #[must_use]
    pub const fn is_chosen(self) -> bool {
        !self.is_usual
    }

    /// Whether tiers may be purged softly in place of hard.
    #[must_use]
    pub const fn may_be_softened(self) -> bool {
        self.is_usual && matches!(self.mode, Mode::Hard)
    }
}

impl From<Mode> for ModeChoice {
    fn from(mode: Mode) -> Self {
        Self::chosen(mode)
    }
}

/// The usual mode of a site that says nothing: soft.
impl Default for ModeChoice {
    fn default() -> Self {
        Self::usual(Mode::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RevalidateOptions;

    #[test]
    fn only_the_usual_hard_may_be_softened() {
        assert!(ModeChoice::usual(Mode::Hard).may_be_softened());
        for never in [
            ModeChoice::from(Mode::Hard),
            ModeChoice::usual(Mode::Soft),
            Mode::Soft.into(),
        ] {
            assert!(!never.may_be_softened(), "{never:?}");
        }
    }

    #[test]
    fn options_stored_before_modes_were_told_apart_are_read_and_their_mode_is_a_chosen_one() {
        let earlier = r#"{"mode":"hard","warm":true,"second_purge":null,"replica_lag":null}"#;
        let options: RevalidateOptions = serde_json::from_str(earlier).unwrap();
        assert_eq!(options.mode, ModeChoice::chosen(Mode::Hard));
        assert!(options.hold, "and they may be held");
    }

    #[test]
    fn options_come_back_as_they_were_stored() {
        for mode in [ModeChoice::usual(Mode::Hard), Mode::Soft.into()] {
            for hold in [true, false] {
                let options = RevalidateOptions {
                    mode,
                    hold,
                    ..RevalidateOptions::default()
                };
                let stored = serde_json::to_string(&options).unwrap();
                let read: RevalidateOptions = serde_json::from_str(&stored).unwrap();
                assert_eq!(read, options, "{stored}");
            }
        }
    }
}
