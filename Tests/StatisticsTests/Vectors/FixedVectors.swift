// Reference values of combinations, fixed tests, estimates and materiality.
// Rows are numbers by key; a row that begins with + goes on. Source: guardrails/vectors, computed there by an
// oracle that was checked against 60-digit arithmetic.

extension Vectors {
    /// Bonferroni and averages at alpha 0.01.
    static let combinations = parse(
        """
        = 0
        logE 0.0 0.0
        weights 1 1
        alphas 0.005 0.005
        averageLogE 0.0
        bonferroniTrips 0 0
        = 1
        logE 5.0 -3.0 1.0
        weights 1 1 1
        alphas 0.0033333333333333335 0.0033333333333333335 0.0033333333333333335
        averageLogE 3.9198670139265475
        bonferroniTrips 0 0 0
        = 2
        logE 5.0 4.9 4.8 4.7
        weights 4 2 1 1
        alphas 0.005 0.0025 0.00125 0.00125
        averageLogE 4.91787084144889
        bonferroniTrips 0 0 0 0
        = 3
        logE -2.0 900.0
        weights 0.5 0.5
        alphas 0.005 0.005
        averageLogE 899.3068528194401
        bonferroniTrips 0 1
        = 4
        logE -700.0 -800.0
        weights 1 3
        alphas 0.0025 0.0075
        averageLogE -701.3862943611199
        bonferroniTrips 0 0
        """)

    /// Wald log-likelihood ratios.
    static let sprt = parse(
        """
        = 0
        n 1
        k 1
        p0 0.02
        p1 0.04
        logLR 0.6931471805599453
        = 1
        n 100
        k 5
        p0 0.02
        p1 0.04
        logLR 1.5069036185398368
        = 2
        n 100000
        k 2500
        p0 0.02
        p1 0.04
        logLR -277.5125508668659
        = 3
        n 10
        k 0
        p0 0.001
        p1 0.01
        logLR -0.09049835519917908
        """)

    /// Pooled z.
    static let twoProportionZ = parse(
        """
        = 0
        nc 100
        kc 5
        ns 1900
        ks 40
        z 1.902485034179014
        p 0.02855388677909077
        = 1
        nc 1000
        kc 10
        ns 19000
        ks 190
        z 0.0
        p 0.5
        = 2
        nc 50
        kc 0
        ns 950
        ks 0
        z 0.0
        p 0.5
        = 3
        nc 10
        kc 10
        ns 190
        ks 0
        z 14.142135623730951
        p 1.0442437918812724e-45
        """)

    /// U and z.
    static let mannWhitney = parse(
        """
        = 0
        candidate 1 2 3 4
        stable 4 3 2 1
        U 75.0
        z 1.9493588689617927
        = 1
        candidate 5 5 5
        stable 50 50 50
        U 1125.0
        z 0.0
        = 2
        candidate 0 0 7
        stable 7 0 0
        U 49.0
        z 3.60555127546399
        = 3
        candidate 100 200 300
        stable 3000 2000 1000
        U 2600000.0
        z 19.479664333649648
        """)

    /// Stages nc kc ns ks and their estimates.
    static let mantelHaenszel = parse(
        """
        = 0
        stages 100 2 9900 99
        ratioNumerator 1.98
        ratioDenominator 0.99
        ratio 2.0
        difference 0.01
        = 1
        stages 100 1 9900 99
        stages 500 10 9500 95
        stages 2500 130 7500 380
        ratioNumerator 107.99
        ratioDenominator 100.74
        ratio 1.0719674409370656
        difference 0.0029603919967333596
        = 2
        stages 10 1 990 0
        ratioNumerator 0.99
        ratioDenominator 0.0
        ratio nan
        difference 0.1
        """)

    /// Epochs nc kc ns ks and whether the ratio is material.
    static let materialRatio = parse(
        """
        = 0
        epochs 1000 10 19000 190
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 0.0
        seAllEpochs 0.3244428422615251
        material 0
        = 1
        epochs 1000 30 19000 190
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 1.0986122886681098
        seAllEpochs 0.19645989725150062
        material 1
        = 2
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 400 20 7600 76
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 0.05129329438755048
        seAllEpochs 0.05742934958630315
        material 0
        = 3
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 1000 10 19000 190
        epochs 400 8 7600 76
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 0.0130720815673527
        seAllEpochs 0.05847976949902474
        material 0
        = 4
        epochs 3 3 297 0
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 6.386879319362645
        seAllEpochs 1.5275252316519468
        material 1
        = 5
        epochs 2 2 198 0
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 5.981414211254481
        seAllEpochs 1.5811388300841898
        material 0
        = 6
        epochs 100 0 1900 20
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs nan
        seAllEpochs nan
        material 0
        = 7
        epochs 100 1 9900 99
        epochs 1000 52 3000 150
        stageStart 0
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 0.03823095556307215
        seAllEpochs 0.1512745477115367
        material 0
        = 8
        epochs 1000 40 19000 190
        epochs 1000 10 3000 30
        stageStart 1
        M 1.5
        minEvents 3
        c 3.0
        lnRatioAllEpochs 0.9844989819006886
        seAllEpochs 0.15666989036012804
        material 1
        """)

    /// Burn rates.
    static let burnRates = parse(
        """
        = 0
        bad 0
        total 0
        slo 0.999
        burn 0.0
        = 1
        bad 1
        total 100
        slo 0.999
        burn 9.999999999999991
        = 2
        bad 144
        total 10000
        slo 0.999
        burn 14.399999999999986
        = 3
        bad 5
        total 1000
        slo 0.99
        burn 0.49999999999999956
        """)
}
