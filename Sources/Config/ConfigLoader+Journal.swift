// `journal:`: when a journal file is closed and how many closed ones are kept.
// Place: a section of the document; read once, when Weir starts.
// Invariant: at least one closed file is kept, because pruning is recorded in the file after it.

import Platform

extension Kind where Value == JournalConfig {
    /// Sizes and ages have lower bounds, so that a slip of the pen does not make a file per line.
    static var journal: Kind {
        .section("a mapping with rotate_bytes, rotate_age or keep") { section in
            var config = JournalConfig()
            config.rotateBytes = section.value(
                "rotate_bytes", .size((1 << 20)...(1 << 30)), or: config.rotateBytes)
            config.rotateAge = section.value(
                "rotate_age", .duration(.seconds(3_600)...(.seconds(400 * 86_400))), or: config.rotateAge)
            config.keep = section.value("keep", .count(1...1_000), or: config.keep)
            return config
        }
    }
}

extension JournalConfig {
    /// The section in words.
    var text: String {
        "\(Notation.text(bytes: rotateBytes)), \(Notation.text(rotateAge)), \(keep) kept"
    }
}
