// Laws of directories that are used through their descriptor: nothing that another user lays in them is
// followed, read or waited for, and their lock has nothing to do with the files in them.

import Glibc
import Platform
import Testing

@Suite struct DirectoryTests {
    /// A directory, and a file outside of it that nothing may touch.
    private final class Trap {
        let inside: TemporaryDirectory
        let outside: TemporaryDirectory
        var target: String { outside.path + "/target" }

        init() throws {
            inside = try TemporaryDirectory()
            outside = try TemporaryDirectory()
            try File.replace(target, with: "untouched".utf8)
        }

        func link(_ name: String) { #expect(symlink(target, inside.path + "/" + name) == 0) }
        var isSprung: Bool { (try? File.readAll(target, bytesMax: 100)) != Array("untouched".utf8) }
    }

    static let openings: [@Sendable (Directory, String) throws -> Void] = [
        { _ = try $0.openRead($1) }, { _ = try $0.openAppend($1) },
        { _ = try $0.readAll($1, bytesMax: 100) },
    ]

    @Test("A symbolic link in the place of a file is refused with a sentence, and its target is untouched")
    func links() throws {
        let trap = try Trap()
        trap.link("file")
        let directory = try Directory(trap.inside.path, links: .refused)
        for open in Self.openings {
            let failure = #expect(throws: SystemFailure.self) { try open(directory, "file") }
            #expect(failure?.errno == .isLink)
            #expect("\(try #require(failure))".contains("\(trap.inside.path)/file, a symbolic link"))
        }
        #expect(!trap.isSprung)
    }

    @Test("A link whose target is missing is refused too: opening makes no file elsewhere")
    func dangling() throws {
        let trap = try Trap()
        let missing = trap.outside.path + "/missing"
        #expect(symlink(missing, trap.inside.path + "/file") == 0)
        let directory = try Directory(trap.inside.path, links: .refused)
        #expect(throws: SystemFailure.self) { _ = try directory.openAppend("file") }
        var status = stat()
        #expect(lstat(missing, &status) != 0)
    }

    @Test("A replacement takes the place of a link, also of one under its temporary name, and follows none")
    func replace() throws {
        let trap = try Trap()
        trap.link("file")
        trap.link("file.new")
        let directory = try Directory(trap.inside.path, links: .refused)
        try directory.replace("file", with: "new".utf8)
        #expect(try directory.readAll("file", bytesMax: 100) == Array("new".utf8))
        #expect(try directory.list().map(\.name) == ["file"])
        #expect(!trap.isSprung)
    }

    @Test("A pipe in the place of a file is refused and nobody waits for its other end")
    func pipes() throws {
        let scratch = try TemporaryDirectory()
        #expect(mkfifo(scratch.path + "/file", 0o600) == 0)
        defer { unlink(scratch.path + "/file") }
        let directory = try Directory(scratch.path, links: .refused)
        for open in Self.openings {
            let failure = #expect(throws: SystemFailure.self) { try open(directory, "file") }
            #expect("\(try #require(failure))".contains("not a regular file"))
        }
        #expect(try directory.list().isEmpty)
    }

    @Test("A linked directory is followed only where that is asked for, and never inside another")
    func linkedDirectories() throws {
        let trap = try Trap()
        let link = trap.inside.path + "/d"
        #expect(symlink(trap.outside.path, link) == 0)
        defer { unlink(link) }
        #expect(try Directory(link, links: .followed).list().map(\.name) == ["target"])
        let refused = #expect(throws: SystemFailure.self) { _ = try Directory(link, links: .refused) }
        #expect(refused?.errno == .isLink)
        let parent = try Directory(trap.inside.path, links: .refused)
        let inner = #expect(throws: SystemFailure.self) { _ = try parent.directory("d") }
        #expect(inner?.errno == .isLink)
    }

    @Test(
        "A file of another user is refused unless the directory is theirs; what root makes is the owner's",
        .enabled(if: geteuid() == 0, "only root can give files away"))
    func owners() throws {
        let scratch = try TemporaryDirectory()
        try File.replace(scratch.path + "/file", with: "x".utf8)
        #expect(chown(scratch.path + "/file", 65_534, 65_534) == 0)
        let directory = try Directory(scratch.path, links: .refused)
        let failure = #expect(throws: SystemFailure.self) { _ = try directory.openRead("file") }
        #expect("\(try #require(failure))".contains("belongs to uid 65534"))
        #expect(chown(scratch.path, 65_534, 65_534) == 0)
        let theirs = try Directory(scratch.path, links: .refused)
        _ = try theirs.openRead("file")
        try theirs.replace("made", with: "x".utf8)
        var status = stat()
        #expect(stat(scratch.path + "/made", &status) == 0 && status.st_uid == 65_534)
    }

    @Test("The lock is the directory's: removing every file in it, or renaming it, lets nobody else in")
    func lock() throws {
        let scratch = try TemporaryDirectory()
        let path = scratch.path + "/d"
        mkdir(path, 0o700)
        do {
            let first = try Directory(path, links: .refused)
            #expect(try first.lock())
            try first.replace("lock", with: "x".utf8)
            try first.remove("lock")
            #expect(try !Directory(path, links: .refused).lock())
            #expect(rename(path, path + "2") == 0)
            #expect(try !Directory(path + "2", links: .refused).lock())
            // What was opened stays what was opened.
            mkdir(path, 0o700)
            defer { rmdir(path) }
            try first.replace("file", with: "x".utf8)
            #expect(try File.list(path).isEmpty)
            #expect(try File.list(path + "2").map(\.name) == ["file"])
            try first.remove("file")
        }
        #expect(try Directory(path + "2", links: .refused).lock())
        rmdir(path + "2")
    }
}
