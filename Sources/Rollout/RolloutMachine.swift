// The rollout machine: (state, input, instant) -> (state, actions). Pure, so that it can be run through
// thousands of simulated rollouts.

/// The state machine of a rollout with fixed weights.
public enum RolloutMachine {
    /// The state of a model that is configured for the first time.
    public static func start(_ setup: RolloutSetup) -> RolloutState {
        RolloutState(
            phase: .split, setup: setup, weights: setup.weights, quarantined: [:], coolDownUntil: nil,
            recovery: nil, alerts: [], cutCount: 0, epoch: 1)
    }

    /// One step. `wallMicros` is the wall clock, microseconds since 1970.
    public static func step(
        _ state: RolloutState, _ input: RolloutInput, wallMicros: UInt64
    ) -> (state: RolloutState, actions: [RolloutAction]) {
        (state, [])
    }
}
