// Laws of files: what is replaced is never half there, and failures name the path. That an fsync happened
// cannot be seen from inside a process; what can be is that a reader at any moment finds a whole version
// and that nothing is left behind when a step fails.

import Glibc
import Platform
import Testing

@Suite struct FileTests {
    @Test("A replacement leaves the new bytes, the mode asked for, and nothing else in the directory")
    func replace() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.json"
        try File.replace(path, with: "old and longer".utf8)
        try File.replace(path, with: "new".utf8)
        let content = try File.readAll(path, bytesMax: 100)
        #expect(content == Array("new".utf8))
        let names = try File.list(directory.path).map(\.name)
        #expect(names == ["state.json"])
        var status = stat()
        stat(path, &status)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test("A replacement that fails leaves the old bytes and no leftovers")
    func failedReplace() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state"
        mkdir(path, 0o700)
        defer { rmdir(path) }
        #expect(throws: SystemFailure.self) { try File.replace(path, with: "x".utf8) }
        var status = stat()
        #expect(stat(path + ".new", &status) != 0)
        let missing = directory.path + "/no/where"
        #expect(throws: SystemFailure(operation: "create \(missing).new", errno: .noSuchFile)) {
            try File.replace(missing, with: "x".utf8)
        }
    }

    @Test("A reader during replacements sees whole versions only")
    func atomic() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state"
        let versions = (0..<2).map { [UInt8](repeating: UInt8($0), count: 20_000) }
        try File.replace(path, with: versions[0])
        let writer = try Thread.spawn(name: "weir-writer") {
            for round in 0..<100 { try? File.replace(path, with: versions[round % 2]) }
        }
        var torn = 0
        for _ in 0..<300 {
            let content = try File.readAll(path, bytesMax: 100_000)
            if !versions.contains(content) { torn += 1 }
        }
        writer.join()
        #expect(torn == 0)
    }

    @Test("Appends add up over openings; a cut takes the torn end away")
    func append() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/journal"
        for line in ["one\n", "two\n", "thr"] {
            let file = try File.openAppend(path)
            try File.write(line.utf8, to: file, path: path)
            try File.sync(file, path: path)
        }
        let file = try File.openAppend(path)
        let size = try File.size(file, path: path)
        #expect(size == 11)
        try File.truncate(file, bytes: 8, path: path)
        try File.write("three\n".utf8, to: file, path: path)
        let content = try File.readAll(path, bytesMax: 100)
        #expect(String(decoding: content, as: UTF8.self) == "one\ntwo\nthree\n")
    }

    @Test("A file larger than allowed is refused, and one of exactly that size is not")
    func bound() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/big"
        try File.replace(path, with: [UInt8](repeating: 1, count: 1_000))
        let all = try File.readAll(path, bytesMax: 1_000)
        #expect(all.count == 1_000)
        #expect(throws: SystemFailure(operation: "read \(path)", errno: .fileTooLarge)) {
            _ = try File.readAll(path, bytesMax: 999)
        }
        #expect(throws: SystemFailure(operation: "open \(path)2", errno: .noSuchFile)) {
            _ = try File.readAll(path + "2", bytesMax: 999)
        }
    }

    @Test("A lock has one holder, and ends with its descriptor")
    func lock() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/lock"
        do {
            let first = try File.openAppend(path)
            let second = try File.openAppend(path)
            let (mine, yours) = (
                try File.lock(first, path: path), try File.lock(second, path: path)
            )
            #expect(mine && !yours)
        }
        let third = try File.openAppend(path)
        let free = try File.lock(third, path: path)
        #expect(free)
    }

    @Test("Directories are made with those above them, and making them again is fine")
    func directories() throws {
        let directory = try TemporaryDirectory()
        let deep = directory.path + "/a/b"
        defer {
            rmdir(deep)
            rmdir(directory.path + "/a")
        }
        try File.makeDirectory(deep)
        try File.makeDirectory(deep)
        let empty = try File.list(deep)
        #expect(empty.isEmpty)
        let file = directory.path + "/file"
        try File.replace(file, with: "".utf8)
        #expect(throws: SystemFailure(operation: "make directory \(file)", errno: .exists)) {
            try File.makeDirectory(file)
        }
    }

    @Test(
        "The directory of a path is what stands before its last slash",
        arguments: [("a", "."), ("/a", "/"), ("a/b", "a"), ("/a/b/c", "/a/b")])
    func directory(path: String, directory: String) {
        #expect(File.directory(of: path) == directory)
    }

    @Test("A listing has names in order, sizes and ages; removing twice is fine")
    func listing() throws {
        let directory = try TemporaryDirectory()
        try File.replace(directory.path + "/b", with: [1, 2, 3])
        try File.replace(directory.path + "/a", with: [1])
        symlink("/etc/passwd", directory.path + "/link")
        defer { unlink(directory.path + "/link") }
        let entries = try File.list(directory.path)
        #expect(entries.map(\.name) == ["a", "b"])
        #expect(entries.map(\.bytes) == [1, 3])
        let now = Int(Clock.wallMicros() / 1_000_000)
        #expect(entries.allSatisfy { abs($0.modifiedSeconds - now) < 60 })
        let (first, second) = (
            try File.remove(directory.path + "/a"), try File.remove(directory.path + "/a")
        )
        #expect(first && !second)
    }

    @Test("A renamed file is found under its new name only")
    func rename() throws {
        let directory = try TemporaryDirectory()
        try File.replace(directory.path + "/a", with: [1])
        try File.rename(directory.path + "/a", to: directory.path + "/b")
        let names = try File.list(directory.path).map(\.name)
        #expect(names == ["b"])
    }
}
