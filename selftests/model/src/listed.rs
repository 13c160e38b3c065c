// SPDX-License-Identifier: GPL-2.0

//! What can be left out of a model, as an enum whose variants have a text each.

macro_rules! listed {
    ($(#[$doc:meta])* $enum:ident: $($name:ident $text:literal)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $enum {
            $($name,)*
        }

        impl $enum {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What is left out.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}
pub(crate) use listed;
