// SPDX-License-Identifier: GPL-2.0

//! What the protocol is not right without.

use crate::listed::listed;

macro_rules! omissions {
    ($($name:ident $steps:literal $text:literal)*) => {
        listed! {
            /// A part of the protocol that can be left out or put in another place.
            Omission: $($name $text)*
        }

        impl Omission {
            /// The shortest trace to a violation.
            pub fn steps(self) -> usize {
                match self {
                    $(Self::$name => $steps,)*
                }
            }
        }
    };
}

omissions! {
    Comparison 31 "no comparison at the entry"
    CountFirst 31 "the sender counts after it has looked"
    SenderBarrier 32 "no barrier between counting and looking"
    UntilQueued 33 "the sender is no longer under way when it queues"
    Barrier 31 "no barrier between putting the ids in place and comparing"
    UnderWay 31 "calls under way are not looked at"
    Queue 33 "the queue is not looked at"
    QueueLast 33 "the queue is looked at before the words are read"
    AtExit 31 "the words and the queue are read when the ids are gone"
    TagFirst 31 "the sender looks at the tag before it counts"
    TagLast 31 "the tag is put in place after the comparison"
}
