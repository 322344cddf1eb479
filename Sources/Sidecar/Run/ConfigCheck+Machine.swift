// `weir check` on a machine: the file is read, its names are resolved, and the bounds are fitted into what
// the system allows this user.
// Invariant: nothing is touched: no port is bound, no state is read; only names are resolved, because a name
// without address is a problem.

import Config
import Control
import Payload
import Platform

extension ConfigCheck {
    /// Checks the file at `path`, names included.
    /// - Parameters:
    ///   - isForHere: bounds that do not fit this machine are an error then, as for `weir run`.
    ///   - isForElsewhere: files that the config names are not looked for.
    package static func run(
        path: String, isForHere: Bool = false, isForElsewhere: Bool = false
    ) -> ConfigCheck {
        let result = load(path: path, isForElsewhere: isForElsewhere)
        var check = of(result, file: path, wallMicros: Clock.wallMicros())
        guard case .success(let config) = result, check.exitCode == 0 else { return check }
        switch limits(config, .afterRaising) {
        case .success(let resources):
            check.text += "on this machine: \(resources.sentence)\n"
            check.text += resources.lowered.map { "on this machine: \($0)\n" }.joined()
        case .failure(let problem):
            check.refusalHere = "on this machine weir would not start: \(problem)"
            if isForHere { check.exitCode = SidecarProblem.limits(problem).exitCode }
        }
        return check
    }

    /// Reads the file at `path` and, unless it is for elsewhere, looks for the files that it names. Requests
    /// of a warm-up are read as well: what is wrong with them is among `absentFiles`, with its place there.
    package static func load(path: String, isForElsewhere: Bool) -> Result<Config, ConfigProblems> {
        ConfigLoader.load(path: path, looksForFiles: !isForElsewhere).map { config in
            guard !isForElsewhere else { return config }
            var checked = config
            let absent = Set(config.absentFiles.compactMap(\.value))
            let files = Set(config.models.compactMap(\.preflight?.warmUp?.file)).subtracting(absent)
            checked.absentFiles += files.sorted().compactMap(warmUpProblem)
            return checked
        }
    }

    private static func warmUpProblem(_ file: String) -> ConfigProblem? {
        do throws(WarmUpProblem) {
            _ = try WarmUpRequest.load(file)
            return nil
        } catch {
            return ConfigProblem(
                file: file, line: error.line, column: error.column, path: "",
                message: "a request of the warm-up \(error.reason)", value: nil,
                expected: "a line of JSON such as {\"path\": \"/infer\", \"body\": {}}", suggestion: nil)
        }
    }

    /// How the bounds would come out on this machine, for this user. Not a problem of the file: it may run
    /// elsewhere.
    static func limits(_ config: Config, _ allowance: Allowance) -> Result<ResourceLimits, LimitsProblem> {
        do throws(LimitsProblem) {
            return .success(try ResourceLimits(config, cores: config.cores ?? CPU.usable, allowance))
        } catch {
            return .failure(error)
        }
    }

    /// The answer of `weir check --output json` to a config that is right.
    package static func json(_ config: Config, file: String, isForHere: Bool) -> (json: JSON, exitCode: Int32)
    {
        var code: Int32 = 0
        let here: JSON
        switch limits(config, .afterRaising) {
        case .success(let resources):
            here = [
                "starts": true, "limits": .string(resources.sentence),
                "lowered": .array(resources.lowered.map(JSON.string)), "problem": .null,
            ]
        case .failure(let problem):
            here = ["starts": false, "limits": .null, "lowered": [], "problem": .string("\(problem)")]
            if isForHere { code = SidecarProblem.limits(problem).exitCode }
        }
        return (
            [
                "ok": .bool(code == 0), "file": .string(file), "digest": .string(config.digest),
                "models": .array(config.models.map(json)), "on_this_machine": here,
            ], code
        )
    }
}
