// The files that a config names. A relative path starts at the folder of the config file, whatever the
// working directory is, so that a config and what it names move together; this is so for every key.
// Place: read with the key that names it. Whether it is there, and what is in it, the caller's closures say:
// `weir check`, a start and a reload look on the machine, a test wherever it likes.
// Invariant: nothing here touches a file.

/// What a named file is for.
package enum FileUse: Sendable {
    /// It must be a regular file, with something in it.
    case read
    /// Its folder must be there, and it must not be a folder itself. It may be a pipe or a device, such as
    /// /dev/stdout.
    case appended
    /// It must be a program that may be run.
    case run
}

/// What keeps a file from its use; nil: nothing.
package typealias FileLook = @Sendable (_ path: String, _ use: FileUse) -> String?

/// The content of a named file, at most `bytesMax` of it, or why there is none.
package typealias FileRead =
    @Sendable (_ path: String, _ bytesMax: Int) -> Result<[UInt8], FileReadProblem>

/// Why a named file cannot be read, as what follows "cannot be read: ".
package struct FileReadProblem: Error, Hashable {
    package var reason: String

    package init(reason: String) { self.reason = reason }
}

/// Paths in a config.
package enum NamedFile {
    /// A path as it is written, from the folder of the config file on.
    package static func path(_ written: String, beside config: String) -> String {
        guard !written.hasPrefix("/"), let slash = config.lastIndex(of: "/") else { return written }
        return config[...slash] + written
    }
}

extension Kind where Value == String {
    /// The path of a file, from the config's folder on; reported where `Reading.look` objects to it.
    static func file(_ expected: String, _ use: FileUse = .read) -> Kind {
        Kind(expected: expected) { node in
            guard let written = node.read(.text(expected)) else { return nil }
            let path = NamedFile.path(written, beside: node.reading.file)
            node.reading.look(node.place, path, use)
            return path
        }
    }

    /// The folder of the durable state, which a start makes where there is none.
    static var stateDir: Kind {
        let expected = "the path of a folder"
        return Kind(expected: expected) { node in
            node.read(.text(expected)).map { NamedFile.path($0, beside: node.reading.file) }
        }
    }
}
