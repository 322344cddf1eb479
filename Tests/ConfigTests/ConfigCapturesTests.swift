// The `captures` of a model: defaults, masks that no file can take away, what the cores are told to copy, and
// what is refused. Place: ConfigLoader and PlanBuilder.

import ConfigSamples
import Payload
import Platform
import Proxy
import Testing

@testable import Config

@Test("Captures are read; the masks of credentials stay whatever the file adds")
private func capturesAreRead() throws {
    let sample = ConfigSample.model(
        """
        captures:
          sample: 0.5%
          around_a_trip: 7
          body_bytes: 1KiB
          mask: { headers: [X-User], query: [Session], json: ["$.a[*].b"], except: [X-Session-Id] }
          keep_bytes: 2MiB
          keep_age: 1h
        """)
    let captures = try #require(try sample.config().models.first?.captures)
    #expect(captures.samplePPM == 5_000 && captures.aroundTrip == 7 && captures.bodyBytesMax == 1_024)
    #expect(captures.maskedHeaders == CapturesConfig.alwaysMasked.union(["x-user"]))
    #expect(captures.maskedQuery == CapturesConfig.alwaysMaskedQuery.union(["session"]))
    #expect(captures.excepted == ["x-session-id"])
    #expect(captures.maskedPaths == [try JSONPath("$.a[*].b")])
    #expect(captures.keepBytes == 2 << 20 && captures.keepAge == .seconds(3_600))
    #expect(try ConfigSample.model("captures: {}").config().models.first?.captures == CapturesConfig())
}

@Test(
    "Cores copy as much as captures or values ask for, and nothing where neither does",
    arguments: [
        ("alpha: 1%", nil),
        (
            "captures: { sample: 2%, body_bytes: 1KiB }",
            TapPlan(ppm: 20_000, bodyBytesMax: 1_024, recentEvery: CapturesConfig.recentEvery)
        ),
        ("captures: { sample: 2%, around_a_trip: 0 }", TapPlan(ppm: 20_000)),
        ("values: { a: { response: $.a } }\nvalues_sample: 30%", TapPlan(ppm: 300_000)),
        (
            "captures: { sample: 50%, body_bytes: 1KiB, around_a_trip: 0 }\n"
                + "values: { a: { response: $.a } }\nvalues_sample: 30%",
            TapPlan(ppm: 500_000)
        ),
    ] as [(String, TapPlan?)])
private func taps(_ text: String, _ expected: TapPlan?) throws {
    var slots = SlotTable()
    let config = try ConfigSample.model(text).config()
    #expect(try PlanBuilder.plan(from: config, slots: &slots, epoch: 1).models[0].tap == expected)
}

/// Captures that cannot be read.
private let brokenCaptures: [Broken] = [
    Broken(
        .model("captures: { sampel: 1% }"),
        ["9:17: models[0].captures: unknown key 'sampel'", "did you mean 'sample'?"]),
    Broken(
        .model("captures: { body_bytes: 1MiB }"),
        ["9:29: models[0].captures.body_bytes: ", "'1MiB'", "64KiB"]),
    Broken(
        .model("captures: { keep_bytes: 1KiB }"),
        ["9:29: models[0].captures.keep_bytes: ", "'1KiB'", "1MiB"]),
    Broken(
        .model("captures: { mask: { json: [a.b] } }"),
        ["9:32: models[0].captures.mask.json[0]: ", "'a.b'"]),
    Broken(
        .model("captures: { mask: { query: [\"\"] } }"),
        ["9:33: models[0].captures.mask.query[0]: ", "expected the name of a query parameter"]),
    Broken(
        .model("captures: { mask: { headers: [\"a b\"] } }"),
        ["9:35: models[0].captures.mask.headers[0]: ", "expected the name of a header"]),
    Broken(
        .model("captures: { mask: { except: [X-Session-Id, API-Key] } }"),
        ["9:48: models[0].captures.mask.except[1]: is a credential's name", "'API-Key'"]),
    Broken(
        .model("captures: { mask: { except: [X-Fine] } }"),
        ["9:34: models[0].captures.mask.except[0]: is not masked anyway: 'X-Fine'"]),
    Broken(
        .model("captures: { mask: { except: [\"session id\"] } }"),
        ["9:34: models[0].captures.mask.except[0]: is no name that a header"]),
    Broken(
        .model("captures: { mask: { except: [\"x-session-id:\"] } }"),
        ["9:34: models[0].captures.mask.except[0]: is no name that a header"]),
    Broken(
        .model("captures: { mask: { headers: [x-sid], query: [X-Sid], except: [x-sid] } }"),
        ["9:68: models[0].captures.mask.except[0]: is also listed under headers and query: 'x-sid'"]),
    Broken(.model("captures: 1%"), ["9:15: models[0].captures: wrong value '1%'", "expected a mapping"]),
]

@Test("Broken captures give exactly these problems, each with its place", arguments: brokenCaptures)
private func brokenCapture(_ broken: Broken) { broken.check() }
