// The `values` of a model: what each source means, and that a path which cannot be followed is refused with
// the character where it goes wrong.

import ConfigSamples
import Payload
import Testing

@testable import Config

@Test("Every source of a value is read, in the order of the file")
private func valuesAreRead() throws {
    let sample = ConfigSample.model(
        """
        values:
          score: { response: "$.outputs[0].data[0]" }
          age: { request: "$['an input'][3]" }
          cost: { response_header: X-Cost }
          budget: { request_header: x-budget }
        values_sample: 12.5%
        """)
    let values = try #require(try sample.config().models.first).values
    #expect(values.samplePPM == 125_000)
    #expect(values.all.map(\.name) == ["score", "age", "cost", "budget"])
    #expect(
        values.all.map(\.source) == [
            .responseBody(try JSONPath("$.outputs[0].data[0]")),
            .requestBody(try JSONPath("$['an input'][3]")), .responseHeader("x-cost"),
            .requestHeader("x-budget"),
        ])
}

@Test("A model without values reads nothing")
private func noValues() throws {
    let model = try #require(try ConfigSample.model("alpha: 1%").config().models.first)
    #expect(model.values == ValuesConfig())
}

/// Values that cannot be read, or contradict each other.
private let brokenValues: [Broken] = [
    Broken(
        .model("values: { a: { response: \"$.b[-1]\" } }"),
        [
            "9:30: models[0].values.a.response: no path that can be followed, from character 5 on: '$.b[-1]'",
            "negative indices are not followed: count from the front",
        ]),
    Broken(
        .model("values: { a: { request: b.c } }"),
        [
            "9:29: models[0].values.a.request: no path that can be followed, from character 1 on: 'b.c'",
            "expected a JSON path such as $.outputs[0].data[0]; a path starts with $",
        ]),
    Broken(
        .model("values: { a: { response: $.b, request: $.c } }"),
        [
            "9:18: models[0].values.a: has both response and request",
            "expected one of response, request, response_header, request_header",
        ]),
    Broken(
        .model("values: { a: {} }"),
        ["9:18: models[0].values.a: says nothing", "expected one of response, request, response_header"]),
    Broken(
        .model("values: { a: { respons: $.b } }"),
        [
            "9:20: models[0].values.a: unknown key 'respons'",
            "expected one of response, request, response_header, request_header",
            "did you mean 'response'?",
        ]),
    Broken(
        .model("values: { a: $.b }"),
        [
            "9:18: models[0].values.a: wrong value '$.b'",
            "expected a mapping with response, request, response_header or request_header",
        ]),
    Broken(
        .model("values: { a: { response_header: \"x cost\" } }"),
        [
            "9:37: models[0].values.a.response_header: wrong value 'x cost'",
            "expected the name of a header",
        ]),
    Broken(
        .model("values_sample: 0%"),
        ["9:20: models[0].values_sample: wrong value '0%'", "expected a percentage such as 5% or 0.1%"]),
]

@Test(
    "Broken values give exactly these problems, each with its place and what was expected",
    arguments: brokenValues)
private func brokenValue(_ broken: Broken) { broken.check() }
