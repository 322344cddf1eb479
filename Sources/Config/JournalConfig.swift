// What `journal:` says: when a file of the journal is closed, and how many closed ones are kept.
// Place: read by `ConfigLoader+Journal`, obeyed by the journal's rotation.
// Invariant: at least one closed file is kept.

import Platform

/// When a journal file is closed and how many closed ones are kept: `journal:` of the config.
package struct JournalConfig: Sendable, Hashable {
    /// A file that has reached this size is closed before the next line.
    package var rotateBytes = 64 << 20
    /// A file whose first line is this old is closed before the next line.
    package var rotateAge = Interval.seconds(7 * 86_400)
    /// Closed files that are kept, at least 1.
    package var keep = 10

    package init() {}
}
