// What is kept and for how long: samples by their share, the last ones around a trip, files within their
// bounds, and a disk that is full or slow to come back.

import ConfigSamples
import Glibc
import Payload
import Platform
import Proxy
import Testing

@testable import Config
@testable import Control

private let wall: UInt64 = 1_795_000_000_000_000

/// A store over a folder in memory, for a model `m` with versions v1 and v2 in the slots 0 and 1.
private struct Shop {
    let disk = FaultyFolder()
    let config: Config
    let plan: Plan
    let folder: CaptureFolder
    var store: CaptureStore
    var warnings: [String] { box.all }
    private let box = Box()

    private final class Box {
        var all: [String] = []
    }

    init(_ captures: String, more: String = "") throws {
        config = try ConfigSample.model("captures: \(captures)\n\(more)").config()
        var slots = SlotTable()
        plan = try PlanBuilder.plan(from: config, slots: &slots, epoch: 1)
        let box = box
        folder = CaptureFolder(disk) { box.all.append($0) }
        store = CaptureStore(folder, seed: 1)
        store.adopt(config, plan)
    }

    mutating func take(_ sample: CaptureSample, body: String = "{}") {
        var sample = sample
        sample.requestBody = Array(body.utf8)
        sample.lend { store.take($0) }
    }

    mutating func turn(_ seconds: UInt64 = 0) {
        store.turn(now: Instant(nanos: seconds * 1_000_000_000), wallMicros: wall + seconds * 1_000_000)
    }

    /// Every line of the folder.
    func lines() throws -> [JSON] {
        try disk.files.sorted { $0.key < $1.key }.flatMap { _, bytes in
            try bytes.split(separator: 0x0A).map { try JSON(parsing: $0) }
        }
    }
}

@Suite struct CaptureStoreTests {
    @Test("Drawn ones are written as samples; failures and recent ones wait for a trip")
    func samples() throws {
        var shop = try Shop("{ sample: 10% }")
        shop.take(CaptureSample(), body: "1")
        shop.take(CaptureSample([.failed]), body: "2")
        shop.take(CaptureSample([.recent]), body: "3")
        shop.turn()
        let lines = try shop.lines()
        #expect(lines.map { $0["request"]?["body"]?.string } == ["1"])
        #expect(lines[0]["kept"] == "sample" && lines[0]["cut"] == nil)
        #expect(shop.store.written == 1 && shop.store.lost == 0)
    }

    @Test("A trip keeps the last ones of every version, under its id, and of no other model")
    func trip() throws {
        var shop = try Shop("{ sample: 0%, around_a_trip: 3 }")
        for i in 0..<5 {
            shop.take(CaptureSample(version: 0, [.recent]), body: "stable \(i)")
            shop.take(CaptureSample(version: 1, [.failed]), body: "candidate \(i)")
        }
        shop.store.trip(CaptureTrip(model: "other", kind: "cut", id: "cut-1"))
        shop.turn()
        #expect(shop.disk.files.isEmpty)
        shop.store.trip(CaptureTrip(model: "m", kind: "cut", id: "cut-1"))
        let lines = try shop.lines()
        #expect(
            lines.map { $0["request"]?["body"]?.string } == [
                "stable 2", "stable 3", "stable 4", "candidate 2", "candidate 3", "candidate 4",
            ])
        #expect(lines.allSatisfy { $0["kept"] == "cut" && $0["cut"] == "cut-1" })
        shop.store.trip(CaptureTrip(model: "m", kind: "alert", id: "alert-x"))
        #expect(try shop.lines().filter { $0["kept"] == "alert" }.count == 6)
    }

    @Test("Of what values have drawn beyond the share of captures, that share is kept")
    func share() throws {
        var shop = try Shop(
            "{ sample: 10%, around_a_trip: 0 }", more: "values: { a: { response: $.a } }\nvalues_sample: 50%")
        #expect(shop.plan.models[0].tap == TapPlan(ppm: 500_000, recentEvery: nil))
        for _ in 0..<4_000 { shop.take(CaptureSample()) }
        shop.turn()
        // A fifth: 800 with a deviation of 25.
        #expect(try (650...950).contains(shop.lines().count))
    }

    @Test("What memory holds of one version is bounded in bytes as well")
    func recentBytes() throws {
        var shop = try Shop("{ sample: 0%, around_a_trip: 1000 }")
        let body = String(repeating: "x", count: 60_000)
        for _ in 0..<200 { shop.take(CaptureSample([.recent]), body: body) }
        shop.store.trip(CaptureTrip(model: "m", kind: "cut", id: "cut-1"))
        #expect(shop.disk.bytes <= CaptureStore.recentBytesMax + 10_000)
        #expect(try shop.lines().count > 50)
    }

    @Test("New masks forget what memory holds by the old ones")
    func reload() throws {
        var shop = try Shop("{ sample: 0% }")
        shop.take(CaptureSample([.recent]), body: "before")
        shop.store.adopt(shop.config, shop.plan)
        shop.store.trip(CaptureTrip(model: "m", kind: "cut", id: "cut-1"))
        #expect(try shop.lines().count == 1)
        let other = try ConfigSample.model("captures: { sample: 0%, mask: { headers: [host] } }").config()
        shop.store.adopt(other, shop.plan)
        shop.store.trip(CaptureTrip(model: "m", kind: "cut", id: "cut-2"))
        #expect(try shop.lines().count == 1)
    }

    @Test("Files stay within the model's bound; the oldest goes first")
    func bytesBound() throws {
        var shop = try Shop("{ sample: 100%, around_a_trip: 0, keep_bytes: 1MiB }")
        let body = String(repeating: "x", count: 10_000)
        for i in 0..<400 {
            shop.take(CaptureSample(), body: "\(i) \(body)")
            shop.turn()
            #expect(shop.disk.bytes <= 1 << 20)
        }
        let numbers = try shop.lines().compactMap { line in
            (line["request"]?["body"]?.string).flatMap { Int($0.prefix { $0 != " " }) }
        }
        #expect(numbers.sorted().last == 399 && numbers.count > 70)
        let ordered = numbers.sorted()
        #expect(ordered == Array((400 - numbers.count)..<400), "none is missing between")
        #expect(shop.disk.files.count > 4)
    }

    @Test("Files that are too old go, by their model's bound, or the default where the model is gone")
    func ageBound() throws {
        var shop = try Shop("{ keep_age: 1h }")
        let seconds = Int(wall / 1_000_000)
        for (name, age) in [
            ("m.20261118.1.jsonl", 3_700), ("m.20261118.2.jsonl", 3_500), ("gone.20261118.1.jsonl", 3_700),
            ("gone.20261101.1.jsonl", 8 * 86_400), ("notes.txt", 90 * 86_400),
        ] {
            shop.disk.files[name] = [0x7B]
            shop.disk.modified[name] = seconds - age
        }
        shop.turn()
        #expect(
            shop.disk.files.keys.sorted() == ["gone.20261118.1.jsonl", "m.20261118.2.jsonl", "notes.txt"])
        shop.turn(200)
        #expect(shop.disk.files.keys.sorted() == ["gone.20261118.1.jsonl", "notes.txt"])
    }

    @Test("A full disk loses captures, says so once, and keeps them again when it has room")
    func fullDisk() throws {
        var shop = try Shop("{ sample: 100%, around_a_trip: 0 }")
        shop.disk.capacity = 100
        for _ in 0..<5 {
            shop.take(CaptureSample())
            shop.turn()
        }
        #expect(shop.store.written == 0 && shop.store.lost == 5)
        #expect(shop.warnings.count == 1 && shop.warnings[0].contains("write m."))
        shop.disk.capacity = .max
        shop.take(CaptureSample())
        shop.turn()
        #expect(shop.store.written == 1)
        shop.disk.capacity = 0
        shop.take(CaptureSample())
        shop.turn()
        #expect(shop.warnings.count == 2)
    }

    @Test("A model's name becomes one plain file name that no other model has")
    func fileNames() {
        let long = String(repeating: "a/", count: 64)
        let names = ["m", "a/b", "a%2Fb", "a.b", "..", "a:b@c", long, long + "x"]
        let escaped = names.map(CaptureFileName.escaped)
        #expect(Set(escaped).count == names.count)
        for (name, text) in zip(names, escaped) {
            let file = CaptureFileName(model: text, day: 20_261_121, number: 12)
            #expect(!file.text.contains("/") && file.text.utf8.count < 255, "\(name)")
            #expect(CaptureFileName(file.text) == file)
        }
        for text in ["a.jsonl", "a.1.jsonl", "a.20261121.0.jsonl", "a.20261121.1.json", "x.x.1.jsonl", ""] {
            #expect(CaptureFileName(text) == nil)
        }
    }
}

@Suite struct CaptureFolderTests {
    private func folder(_ scratch: Scratch, _ warn: @escaping (String) -> Void = { _ in }) -> CaptureFolder {
        CaptureFolder(FolderDisk(folder: FolderDisk.folder(in: scratch.path)), warn: warn)
    }

    private func mode(_ path: String) -> UInt32 {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test("Folder and files are for their owner only")
    func modes() throws {
        let scratch = try Scratch()
        folder(scratch).append(
            Array("{}\n".utf8), count: 1, model: "m", CapturesConfig(), wallMicros: wall)
        #expect(mode(scratch.path + "/captures") == 0o700)
        #expect(mode(scratch.path + "/captures/m.20261118.1.jsonl") == 0o600)
    }

    @Test(
        "A file that a crash has torn goes on with a whole line; a day or an eighth of the bound ends it"
    )
    func files() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/captures/m.20261118.1.jsonl"
        try File.makeDirectory(scratch.path + "/captures")
        try File.replace(path, with: Array("{\"torn\":".utf8))
        let first = folder(scratch)
        first.append(Array("{}\n".utf8), count: 1, model: "m", CapturesConfig(), wallMicros: wall)
        first.append(Array("{}\n".utf8), count: 1, model: "m", CapturesConfig(), wallMicros: wall)
        #expect(try File.readAll(path, bytesMax: 100) == Array("{\"torn\":\n{}\n{}\n".utf8))
        var small = CapturesConfig()
        small.keepBytes = 100
        first.append(Array("{}\n".utf8), count: 1, model: "m", small, wallMicros: wall)
        first.append(Array("{}\n".utf8), count: 1, model: "m", small, wallMicros: wall + 86_400_000_000)
        let names = try File.list(scratch.path + "/captures").map(\.name)
        #expect(names == ["m.20261118.1.jsonl", "m.20261118.2.jsonl", "m.20261119.1.jsonl"])
    }

    @Test("A device that takes nothing costs lines and one warning")
    func fullDevice() throws {
        let scratch = try Scratch()
        try File.makeDirectory(scratch.path + "/captures")
        #expect(symlink("/dev/full", scratch.path + "/captures/m.20261118.1.jsonl") == 0)
        var warnings: [String] = []
        let folder = folder(scratch) { warnings.append($0) }
        for _ in 0..<3 {
            folder.append(Array("{}\n".utf8), count: 1, model: "m", CapturesConfig(), wallMicros: wall)
        }
        #expect(folder.lost == 3 && folder.written == 0 && warnings.count == 1)
    }
}
