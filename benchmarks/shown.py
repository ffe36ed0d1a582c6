"""Which of the measured figures README and the READMEs of rooms show, and what they are called there (page.py)."""

# What the README shows of the figures: benchmark, figure, what it is, how it is written, and of what configuration.
# Speed and quality are of different networks, each named: what is quick must not lend its name to what is right.
SASREC = "2 blocks, 1 head, windows of 200 events, batches of 128"
SPEED = [
    (
        *("event_reader", "seconds_per_10m", "an event log read, checked and packed", "{} s"),
        "10 million events, CSV with text ids, 321 MB",
    ),
    ("event_reader", "peak_gib", "the most memory that takes", "{} GiB", "the same file"),
    (
        *("sasrec_training", "speedup_vs_public", "SASRec trains, over pmixer/SASRec.pytorch", "{} x"),
        f"MovieLens-1M; {SASREC}, d = 50, BCE with one negative, both alike",
    ),
    ("sasrec_training", "speedup_vs_rectools", "the same over RecTools 0.19", "{} x", "the same"),
    (
        *("sasrec_training", "softmax_speedup_vs_rectools", "the same over RecTools 0.19", "{} x"),
        f"MovieLens-1M; {SASREC}, d = 64, full softmax, both alike",
    ),
    (
        *("evaluation", "seconds", "full ranks of all test events, with intervals", "{} s"),
        "MovieLens-1M: 6,040 events among 3,416 items; SASRec, d = 64",
    ),
    ("evaluation", "ratio_vs_rectools", "its time over that of RecTools' recommend(k=10)", "{}", "the same"),
    (
        *("predict", "users_per_s", "recommendations file to file", "{} users/s"),
        "MovieLens-1M's histories, ten items each; SASRec, d = 64",
    ),
    ("predict", "speedup_vs_rectools", "the same over RecTools 0.19", "{} x", "the same network"),
    ("import_time", "import_s", "import tenfold", "{} s", "a fresh process, warm disk"),
    ("import_time", "help_s", "tenfold --help", "{} s", "the same"),
    (
        "shop",
        "default_s",
        "a whole shop drawn and written",
        "{} s",
        "as it comes: pictures, texts, 200,000 events; 2 cores",
    ),
    ("shop", "pictures_10k_64px_s", "pictures of a shop", "{} s", "10,000 of 64 pixels; 2 cores"),
    ("shop", "events_10m_s", "events of a made shop", "{} s", "10 million; 1 core"),
]
LOO = "MovieLens-1M, each user's last event tested"
QUALITY = [
    (
        *("sasrec_ml1m.softmax", "softmax_ndcg@10_seen_excluded", "SASRec's NDCG@10 among all items", "{}"),
        f"{LOO}, seen items left out; 2 blocks, d = 64, feed-forward of 256, full softmax, batches of 32, 60 epochs; "
        "one seed",
    ),
    (
        *(
            "sasrec_ml1m.bce",
            "bce_hr@10(sampled-100)",
            "SASRec's hit rate at 10 among 100 sampled (published: 0.82)",
            "{}",
        ),
        f"{LOO}; 3 blocks, norms after the layers, d = 50, feed-forward of 200, BCE, batches of 64, an average of the "
        "weights, 200 epochs; one seed; chosen by the validation event; test figures of two settings not taken were "
        "known",
    ),
    ("sasrec_ml1m.bce", "bce_ndcg@10(sampled-100)", "its NDCG@10 there (published: 0.59)", "{}", "the same network"),
]

# The same for the README of a room; the configuration may be left out where all rows have one.
ROOMS = {
    "limarec": [
        ("limarec_online.answers", "state_bytes", "kept of a user with four interests (d = 64, H = 4)", "{} bytes"),
        ("limarec_online.answers", "faithful_state_bytes", "the same of `preset=faithful`", "{} bytes"),
        ("limarec_online.answers", "record_bytes", "a record in a store, with its header and 64 event ids", "{} bytes"),
        (
            "limarec_online.answers",
            "cache_memory_ratio_10k",
            "one layer's cache of keys and values at 10,000 events over that",
            "{} x",
        ),
        (
            "limarec_online.answers",
            "p50_ratio_100k_to_100",
            "an event and an answer, after 100,000 events over after 100",
            "{} x",
        ),
        (
            "limarec_online.answers",
            "p50_ratio_to_sasrec_200",
            "the same over a SASRec that reads 200 events again",
            "{} x",
        ),
        ("limarec_online.answers", "lmdb_p50_ms_100k", "an event and an answer, on the disk when it returns", "{} ms"),
        (
            "limarec_online.answers",
            "largest_difference",
            "scores of a stream and of the whole history differ at most by",
            "{}",
        ),
        (
            "limarec_online.replay",
            "replay_ml1m_s",
            "MovieLens-1M, from file to states on the disk, by the clock",
            "{} s",
        ),
        ("limarec_online.replay", "replay_ml1m_cpu_s", "the same, seconds of the processor", "{} s"),
        ("limarec_online.replay", "replay_1m_events_200k_users_s", "a million events of 200,000 users, clock", "{} s"),
        ("limarec_online.replay", "replay_1m_events_200k_users_cpu_s", "the same, processor", "{} s"),
        (
            "limarec_online.replay",
            "replay_speedup_vs_update_many",
            "events a processor second over `update_many`",
            "{} x",
        ),
        (
            "limarec_online.training",
            "training_time_slope",
            "growth of training time with the history (log-log slope)",
            "{}",
        ),
        ("limarec_online.training", "training_memory_slope", "growth of its memory", "{}"),
        ("limarec_service", "requests_per_s", "requests a second, half events, half answers, one process", "{}"),
        ("limarec_service", "p99_ms", "99 of 100 are answered within", "{} ms"),
        ("limarec_service", "ratio_to_empty_fastapi", "requests a second over an empty FastAPI handler's", "{} x"),
    ],
    "iad": [
        (
            *("robust_labels.choice", "labels_adam_0.01_pgd", "AT by default (Adam, 0.01): right under pgd-10", "{}"),
            "1,500 labels, the validation part",
        ),
        ("robust_labels.choice", "labels_adam_0.003_pgd", "the same, Adam at 0.003", "{}", "the same"),
        ("robust_labels.choice", "labels_adam_0.03_pgd", "the same, Adam at 0.03", "{}", "the same"),
        ("robust_labels.choice", "labels_sgd_0.1_pgd", "the same, SGD at 0.1", "{}", "the same"),
        ("robust_labels.choice", "labels_adam_0.01_shifted_pgd", "Adam at 0.01, pictures shifted", "{}", "the same"),
        ("robust_labels.choice", "digits_adam_0.01_pgd", "AT by default", "{}", "digits, the validation part"),
        ("robust_labels.choice", "digits_sgd_0.1_pgd", "the same, SGD at 0.1", "{}", "digits, the validation part"),
        ("attacks", "speedup_over_torchattacks", "PGD-20 of every step over torchattacks", "{} x", "500 labels"),
        ("attacks", "speedup_over_foolbox", "over foolbox", "{} x", "the same"),
        ("attacks", "speedup_over_art", "over ART", "{} x", "the same"),
        ("attacks", "pgd_ours", "right under PGD-20, ours", "{}", "the same"),
        ("attacks", "pgd_torchattacks", "torchattacks", "{}", "the same"),
        ("attacks", "pgd_foolbox", "foolbox", "{}", "the same"),
        ("attacks", "pgd_art", "ART", "{}", "the same"),
        ("attacks", "alike_torchattacks", "pictures alike with torchattacks", "{}", "the same"),
        ("attacks", "aa_lite", "right under AA-lite, ours", "{}", "120 of them"),
        ("attacks", "autoattack_apgd_pair", "under AutoAttack's own APGD pair", "{}", "120 of them"),
        ("attacks", "square", "under Square, 500 queries", "{}", "120 of them"),
        (
            *("iad_step", "time_ratio_vs_official", "a step of IAD-I, in times of the authors'", "{}"),
            "ResNet-18, batch 64, two threads",
        ),
        ("iad_step", "units", "its forward units, counted by hooks", "{}", "the same"),
        ("iad_step", "units_detached", "the same, detached introspection", "{}", "the same"),
        *(
            ("robust_labels.table", f"{method}_{figure}", f"{told}: {what}", "{}", "labels, the test part, five seeds")
            for method, told in (
                *(("plain", "plain training"), ("at", "AT"), ("trades", "TRADES"), ("ard", "ARD"), ("rslad", "RSLAD")),
                *(("iad1", "IAD-I"), ("iad2", "IAD-II"), ("teacher", "the teacher, four times as large")),
            )
            for figure, what in (
                *(("natural", "right"), ("robust", "right after pgd-10 and AA-lite")),
                ("over_at", "more of that than AT"),
            )
        ),
    ],
    "lisa": [
        ("lisa_attention", "sdpa_speedup_1k", "attention forward over torch's fused softmax, 1,024 events", "{} x"),
        ("lisa_attention", "sdpa_speedup_16k", "the same, 16,384 events", "{} x"),
        ("lisa_attention", "materialised_speedup_16k", "over softmax written out, 16,384 events", "{} x"),
        ("lisa_attention", "times_the_matmul_16k", "in times of torch's own product of weights and values", "{}"),
        ("lisa_attention", "times_its_own_product_16k", "the same, of that product through oneDNN", "{}"),
        ("lisa_attention", "time_slope", "growth of time with length, 4,096 to 65,536 events (log-log slope)", "{}"),
        (
            "lisa_attention",
            "backward_speedup_8k",
            "forward and backward over torch's fused softmax, 8,192 events",
            "{} x",
        ),
        ("lisa_attention", "memory_slope", "growth of what is kept for the backward pass (log-log slope)", "{}"),
        (
            "lisa_vs_official",
            "core_speedup",
            "attention, forward and backward, over the authors' code; worst of four",
            "{} x",
        ),
        ("lisa_vs_official", "model_speedup", "a training step over the authors' code; worst of four", "{} x"),
        ("lisa_vs_official", "memory_ratio", "times less memory than the authors' code; worst of four", "{} x"),
        ("lisa_table", "base_ratio", "item table smaller on disk, Base, a million items, D = 128", "{} x"),
        ("lisa_table", "mini_ratio", "the same, Mini", "{} x"),
        ("lisa_table", "break_even_items", "items from which codes pay, Base", "{}"),
        ("lisa_streaming", "p50_ratio_100k_to_100", "update and answer after 100,000 events over after 100", "{} x"),
        (
            *("lisa_streaming.recent", "recent_p50_ratio_100k_to_100"),
            *("the same with the last 50 events one by one", "{} x"),
        ),
        ("lisa_streaming.recent", "recent_state_bytes", "kept of a user then (8 x 128 counts, 50 items)", "{} bytes"),
        ("lisa_streaming.recent", "joint_state_bytes", "and with a sketch of joint codes", "{} bytes"),
        (
            *("lisa_attention.recent", "default_network_recent_to_own_16k"),
            *("forward of the network with the last 50 one by one over without, 16,384 events", "{} x"),
        ),
        ("lisa_attention.recent", "default_attention_recent_to_own_16k", "of its attention alone", "{} x"),
        ("lisa_attention.recent", "mini_network_recent_to_own_16k", "the network with 8 x 16 codewords", "{} x"),
    ],
    "sana": [
        ("sana_decoding", "stage2_speedup", "texts of 90 tokens from skeletons of 27: edits over beam search", "{} x"),
        ("sana_decoding", "speedup_vs_autoregressive", "both stages over beam search, batch 1", "{} x"),
        ("sana_decoding", "speedup_vs_autoregressive_batch_64", "the same, batch 64", "{} x"),
        ("sana_decoding", "speedup_vs_autoregressive_15_tokens", "the same, texts of 15 tokens, batch 1", "{} x"),
        ("sana_decoding", "edits_64x64_ms", "edits of 64 pairs of 64 tokens", "{} ms"),
        ("parent", "seconds_per_10k", "PARENT of 10,000 pairs of WikiTableText", "{} s"),
        ("parent", "speedup_vs_reference", "the same, over Google's functions as SANA's authors have them", "{} x"),
        ("parent", "speedup_vs_kaiju_one_process", "the same, over KaijuML/parent, one process", "{} x"),
    ],
    "rehearsal": [
        (
            "rehearsal_training",
            "speedup_vs_decoder_8",
            "words trained on a second, with rehearsal, over the public Recurrent Memory Transformer as a decoder, 8 "
            "segments",
            "{} x",
        ),
        ("rehearsal_training", "speedup_vs_decoder_64", "the same, 64 segments", "{} x"),
        ("rehearsal_training", "speedup_vs_encoder_8", "over the public one as an encoder, 8 segments", "{} x"),
        ("rehearsal_training", "speedup_vs_encoder_64", "the same, 64 segments", "{} x"),
        ("rehearsal_training", "speedup_vs_rmt_8", "over our own memory tokens, 8 segments", "{} x"),
        ("rehearsal_training", "speedup_vs_rmt_64", "the same, 64 segments", "{} x"),
        (
            "rehearsal_training",
            "without_rehearsal_vs_decoder_8",
            "without rehearsal over the decoder, 8 segments",
            "{} x",
        ),
        ("rehearsal_training", "without_rehearsal_vs_decoder_64", "the same, 64 segments", "{} x"),
        (
            "rehearsal_training",
            "peak_gib_512_segments",
            "memory of a step over 512 segments of 8, batch 32, with rehearsal, activations computed again",
            "{} GiB",
        ),
        ("rehearsal_training", "question_growth", "a question's time after 65,536 words over that after 1,024", "{} x"),
        ("rehearsal_training", "attention_to_all_growth", "the same of attention to all words", "{} x"),
        ("rehearsal_babi.qa1", "qa1_error_worst", "bAbI as it is, task 1, wrong, worst of its seeds", "{} %"),
        ("rehearsal_babi.qa6", "qa6_error_worst", "bAbI as it is, task 6, one seed, wrong", "{} %"),
        ("rehearsal_babi.qa11", "qa11_error_worst", "the same, task 11", "{} %"),
        ("rehearsal_babi.qa12", "qa12_error_worst", "the same, task 12", "{} %"),
        ("rehearsal_babi.qa15", "qa15_error_worst", "the same, task 15", "{} %"),
        ("rehearsal_babi.qa5", "qa5_error_worst", "the same, task 5", "{} %"),
        ("rehearsal_babi.qa7", "qa7_error_worst", "the same, task 7", "{} %"),
        ("rehearsal_babi.qa14", "qa14_error_worst", "the same, task 14", "{} %"),
        ("rehearsal_babi.qa2", "qa2_error_worst", "the same, task 2", "{} %"),
        ("rehearsal_babi.qa1_128", "qa1_128_memory", "long bAbI, 128 words, task 1, right", "{} %"),
        ("rehearsal_babi.qa1_128", "qa1_128_all_kept", "the same by attention to all", "{} %"),
        ("rehearsal_babi.qa6_128", "qa6_128_memory", "128 words, task 6, right", "{} %"),
        ("rehearsal_babi.qa6_128", "qa6_128_all_kept", "the same by attention to all", "{} %"),
        ("rehearsal_babi.qa1_512", "qa1_512_memory", "512 words, task 1, right", "{} %"),
        ("rehearsal_babi.qa1_512", "qa1_512_all_kept", "the same by attention to all", "{} %"),
        ("rehearsal_babi.qa6_512", "qa6_512_memory", "512 words, task 6, right", "{} %"),
        ("rehearsal_babi.qa6_512", "qa6_512_all_kept", "the same by attention to all", "{} %"),
        ("rehearsal_babi.qa1_2048", "qa1_2048_memory", "2,048 words, task 1, right", "{} %"),
        ("rehearsal_babi.qa1_2048", "qa1_2048_all_kept", "the same by attention to all", "{} %"),
        ("rehearsal_shop", "all_memory", "the shop's questions, right, from a memory of one size", "{} %"),
        ("rehearsal_shop", "all_observer", "the same by one who knows the last tenth of the events", "{} %"),
        ("rehearsal_shop", "all_all_kept", "the same by attention to all events", "{} %"),
        ("rehearsal_streams.assist", "auc_memory", "ASSISTments 2009, right or wrong, area under the curve", "{}"),
        ("rehearsal_streams.assist", "auc_gru", "the same by a recurrent network of as many bytes", "{}"),
        (
            "rehearsal_streams.assist",
            "auc_skill_and_student",
            "the same by the skill's and the student's shares",
            "{}",
        ),
        ("rehearsal_streams.assist", "auc_last", "the same by the answer before", "{}"),
        ("rehearsal_streams.foursquare", "memory_hr10", "Foursquare NYC, next place among the first ten", "{}"),
        ("rehearsal_streams.foursquare", "counting_hr10", "the same with a candidate's own count", "{}"),
        ("rehearsal_streams.foursquare", "gru_hr10", "the same by GRU4Rec", "{}"),
        ("rehearsal_streams.foursquare", "frequency_hr10", "the same by what the user had most often", "{}"),
        ("rehearsal_streams.foursquare", "memory_hr10_gap20", "the same, places not seen for 20 check-ins", "{}"),
        ("rehearsal_streams.foursquare", "counting_hr10_gap20", "these with a candidate's own count", "{}"),
        ("rehearsal_streams.foursquare", "gru_hr10_gap20", "these by GRU4Rec", "{}"),
        ("rehearsal_streams.foursquare", "frequency_hr10_gap20", "these by what the user had most often", "{}"),
    ],
    "tcl": [
        ("tcl_sampler", "compiled_ms", "800 queries for 20 neighbours, compiled", "{} ms"),
        ("tcl_sampler", "vectorised_ms", "the same, torch", "{} ms"),
        ("tcl_sampler", "speedup_vs_dyglib", "compiled, over DyGLib's sampler", "{} x"),
        ("tcl_sampler", "vectorised_speedup_vs_dyglib", "torch, over DyGLib's sampler", "{} x"),
        ("tcl_sampler", "compiled_200k_ms", "200,000 queries, compiled", "{} ms"),
        ("tcl_sampler", "tree_us", "a dependency tree of depth 5 with its mask", "{} us"),
        ("tcl_sampler", "chase_us", "the same, pointers alone", "{} us"),
        ("tcl_sampler", "build_large_s", "tables of 10 million interactions", "{} s"),
        ("tcl_training", "dyglib_speedup_vs_public", "a training step of preset=dyglib, d = 64, over DyGLib's", "{} x"),
        ("tcl_training", "paper_speedup_vs_public", "of preset=paper, another network", "{} x"),
        ("tcl_ranking", "ms_a_question", "a question ranked among 1,862 destinations, d = 32, k = 3", "{} ms"),
        ("tcl_ranking", "speedup_vs_pairs", "over scoring each pair in full", "{} x"),
        ("tcl_ranking", "largest_difference", "largest difference of the scores", "{}"),
        ("tcl_published.best", "best_ap_random", "CollegeMsg, DyGLib's protocol, average precision, random", "{} %"),
        ("tcl_published.best", "best_ap_historical", "the same, historical", "{} %"),
        ("tcl_published.paper", "paper_ap_random", "the same of preset=paper, random", "{} %"),
        ("tcl_published.paper", "paper_ap_historical", "the same, historical", "{} %"),
        ("tcl_published.wikipedia", "wikipedia_best_mrr_blocks", "Wikipedia, all pages, blocks of 200, MRR", "{}"),
        ("tcl_published.wikipedia", "wikipedia_best_mrr_strict", "the same, everything earlier seen", "{}"),
        ("link_rules", "collegemsg_edgebank_ap", "EdgeBank's average precision, DyGLib's protocol, CollegeMsg", "{} %"),
        ("link_rules", "wikipedia_edgebank_ap", "the same, Wikipedia", "{} %"),
    ],
}


SHOP_KINDS = ("brand", "colour", "count", "different", "looks", "neighbour", "order", "since")

# Tables of a room's README by marker: the benchmark, its rows (label, name) and its columns (label, figure of a name).
GRIDS = {
    "lisa": {
        "movies": (
            "long_histories.defaults",
            [("SASRec, last 50 events", "sasrec_50"), ("SASRec, last 200", "sasrec_200"), ("LISA, all", "lisa")],
            [
                ("all items ranked", "defaults_{}_whole_ndcg@10"),
                ("seen items left out", "defaults_{}_ndcg@10"),
                ("users with up to 50 events", "defaults_{}_ndcg@10_0_to_50"),
                ("to 200", "defaults_{}_ndcg@10_50_to_200"),
                ("to 500", "defaults_{}_ndcg@10_200_to_500"),
                ("to 1,000", "defaults_{}_ndcg@10_500_to_1000"),
                ("more", "defaults_{}_ndcg@10_1000_to_100000"),
            ],
        ),
        "panel": (
            "panel",
            [
                ("MovieLens-100K", "ml-100k"),
                ("Wikipedia edits", "wikipedia-edits"),
                ("shop, small", "shop-small"),
                ("a thousand users of Beauty, ten draws", "beauty-1000-users"),
                ("shop, middle (200 s)", "shop-middle"),
                ("shop, large (200 s)", "shop-large"),
                ("Beauty (200 s)", "beauty"),
                ("last five events of 12,000 users of Beauty (200 s)", "beauty-last-five"),
                ("MovieLens-1M (200 s)", "ml-1m"),
            ],
            [
                ("popularity", "{}_popularity"),
                ("item-knn", "{}_item-knn"),
                ("SASRec", "{}_sasrec"),
                ("LISA", "{}_lisa"),
                ("LISA over SASRec", "{}_lisa_over_sasrec"),
                ("over popularity", "{}_lisa_over_popularity"),
                ("SASRec, seen items left out", "{}_sasrec_seen_left_out"),
                ("LISA, seen items left out", "{}_lisa_seen_left_out"),
                ("LISA over SASRec, seen items left out", "{}_lisa_over_sasrec_seen_left_out"),
            ],
        ),
        "long histories": (
            "long_histories",
            [
                ("SASRec, last 50 events, 600 s", "shop_sasrec_50"),
                ("SASRec, last 200, 600 s", "shop_sasrec_200"),
                ("LISA, all, windows of 200 in training, 600 s", "shop_lisa"),
                ("LISA as it comes, windows of 2,048 in training, 600 s", "windows_lisa"),
                ("SASRec, last 2,048, 300 s", "curves_sasrec_2048"),
                ("`transformer:attention=key-quantised`, 300 s", "curves_key_quantised"),
                ("LRURec, 300 s", "curves_lrurec"),
                ("`transformer:attention=lisa+recent`, 300 s", "curves_lisa_recent"),
            ],
            [
                ("test part", "{}_ndcg@10"),
                ("hit rate at 10", "{}_hr@10"),
                ("validation part after 75 s", "{}_validation_ndcg@10_75_s"),
                ("150 s", "{}_validation_ndcg@10_150_s"),
                ("300 s", "{}_validation_ndcg@10_300_s"),
                ("600 s", "{}_validation_ndcg@10_600_s"),
            ],
        ),
        "ladder": (
            "lisa_ladder",
            [
                ("`near`: one group of four items, visits close to each other", "near"),
                ("`groups`: eight groups", "groups"),
                ("`far`: 50 events and more between visits to a group", "far"),
                ("`items`: 16 items in a group", "items"),
                ("`noise`: popularity; the favourite in two visits of five", "noise"),
                ("`catalogue`: forty groups", "catalogue"),
            ],
            [
                ("LISA, lambda 0", "{}_lisa_share"),
                ("`recent=50`", "{}_recent_share"),
                ("`counts.of=codewords`", "{}_codewords_share"),
                ("`counts.of=joint`", "{}_joint_share"),
                ("SASRec, last 50", "{}_sasrec_50_share"),
                ("LRURec", "{}_lrurec_share"),
                ("observer, hits", "{}_observer_hr@1"),
                ("popular, hits", "{}_popular_hr@1"),
            ],
        ),
    },
    "rehearsal": {
        "shop": (
            "rehearsal_shop",
            [
                ("all", "all"),
                ("all evidence in the last tenth", "near"),
                ("evidence beyond the half", "far"),
                *[(kind, kind) for kind in SHOP_KINDS],
            ],
            [
                ("memory", "{}_memory"),
                ("attention to all", "{}_all_kept"),
                ("observer of the last tenth", "{}_observer"),
                ("commonest answer", "{}_majority"),
                ("solver", "{}_solved"),
                ("questions", "{}_questions"),
            ],
        )
    },
    "tcl": {
        "rules": (
            "link_rules",
            [
                ("`recency`: who was met last, either way; then popularity", "recency"),
                ("the same, `both=false`: whom the source met", "recency_directed"),
                ("`edgebank`: pairs that were there", "edgebank"),
                ("the same, `memory=window`", "edgebank_window"),
                ("`pair-count`", "pair_count"),
                ("`popular-partner`, fading in three days", "popular"),
                ("`partners-partners`", "partners"),
            ],
            [
                ("CollegeMsg, strict", "collegemsg_strict_{}"),
                ("CollegeMsg, blocks", "collegemsg_blocks_{}"),
                ("Wikipedia, strict", "wikipedia_strict_{}"),
                ("Wikipedia, blocks", "wikipedia_blocks_{}"),
            ],
        )
    },
}
