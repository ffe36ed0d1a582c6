"""The public data sets that Tenfold knows by name: what each is, its licence, its files with their checksums, and how
they are read. None is part of this package: read the licence first. `data.public` finds the files.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

RAW = "https://raw.githubusercontent.com"
GROUPLENS = "research use with citation (Harper and Konstan 2015), no redistribution without permission"
Kind = Literal["events", "graph", "pictures", "tables", "questions", "text"]


class PublicFile(NamedTuple):
    name: str  # in the folder of data sets, without .gz
    sha256: str  # of the content, decompressed
    url: str = ""
    instead: str = ""  # what to do where the internet has no such file


class PublicSet(NamedTuple):
    kind: Kind
    about: str
    licence: str
    files: Mapping[str, PublicFile]
    form: str  # the function of data.public_forms that makes a dataset of the files; "" for text
    options: Mapping[str, Any] = {}  # its arguments
    holds: Mapping[str, int] = {}  # how many of what, for a check of the reading


def _raw(repository: str, commit: str, path: str) -> str:
    return f"{RAW}/{repository}/{commit}/{path}"


def _made_of(what: str) -> str:
    return f"make it of {what}"


EVENTS = {
    "ml-1m": PublicSet(
        kind="events",
        about="MovieLens-1M as a log without ratings or times, items of fewer than 5 events left out, ties by movie id",
        licence=GROUPLENS,
        files={
            "log": PublicFile(
                "seqrec/ml-1m.txt",
                "4723cba9f8bdcceade6d0942ca12c9c3c0aeb0340c14fe1027c097184b046afc",
                instead="get https://files.grouplens.org/datasets/movielens/ml-1m.zip and read its ratings.dat with "
                "min_item_events=5: the same events, equal times in that file's order",
            ),
            "titles": PublicFile(
                "seqrec/ml-1m.movies.dat",
                "ad22fd112a753c753925eea3a7a46b7ed82b1273fc4f47f798ee52ec0c28576b",
                _raw(
                    "recohut/coldstart-recsys",
                    "da72950ca514faee94f010a2cb6e99a373044ec1",
                    "data/MeLU/ml-1m/movies.dat",
                ),
            ),
        },
        form="log",
        options={"format": "sasrec"},
        holds={"events": 999_611, "users": 6_040, "items": 3_416},
    ),
    "ml-100k": PublicSet(
        kind="events",
        about="MovieLens-100K with ratings and times, as an atomic file of RecBole; not in order of time",
        licence=GROUPLENS,
        files={
            "log": PublicFile(
                "seqrec/ml-100k.inter",
                "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
                _raw("RUCAIBox/RecBole", "7b02be5ec80a88310f2d04a27a82adfcbb5dc211", "dataset/ml-100k/ml-100k.inter"),
            ),
            "titles": PublicFile(
                "seqrec/ml-100k.item",
                "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
                _raw("RUCAIBox/RecBole", "7b02be5ec80a88310f2d04a27a82adfcbb5dc211", "dataset/ml-100k/ml-100k.item"),
            ),
        },
        form="log",
        options={"format": "recbole"},
        holds={"events": 100_000, "users": 943, "items": 1_682},
    ),
    "beauty": PublicSet(
        kind="events",
        about="Amazon Beauty (2014), users and items with 5 events or more, as cut by BERT4Rec's authors; no times",
        licence="Apache-2.0 repository; the reviews are of McAuley et al., for research",
        files={
            "log": PublicFile(
                "seqrec/beauty.txt",
                "f480b7a7403852342ffd8f9809bb30697dd669be31813d0e204b698fec86ef49",
                _raw("FeiSun/BERT4Rec", "615eaf2004abecda487a38d5b0c72f3dcfcae5b3", "data/beauty.txt"),
            )
        },
        form="log",
        options={"format": "sasrec"},
        holds={"events": 353_962, "users": 40_226, "items": 54_542},
    ),
    "wikipedia-edits": PublicSet(
        kind="events",
        about="a month of edits of Wikipedia's 1,000 most edited pages (Kumar et al. 2019); no times, many repeats",
        licence="CC BY-SA (Wikipedia's edit history), from an Apache-2.0 repository",
        files={
            "log": PublicFile(
                "seqrec/wikipedia-edits.txt",
                "ab5d5addedafb496a212d939cb595637f580e436f640916ba337edb03aa02bed",
                _raw("pmixer/SASRec.pytorch", "fde8a9c08febc2c898dc269b1d98ab762c50d2be", "python/data/wikipedia.txt"),
            )
        },
        form="log",
        options={"format": "sasrec"},
        holds={"events": 157_474, "users": 8_227, "items": 1_000},
    ),
    "foursquare-nyc": PublicSet(
        kind="events",
        about="check-ins in New York (Yang et al. 2015), part of the users; times in seconds from the first day, "
        "places with latitude and longitude",
        licence="free for research use; the repository it was taken from states no licence of its own",
        files={
            "log": PublicFile(
                "rehearsal/foursquare_nyc_dev.npz",
                "c5b79dd79b5e964b152d3775e56d45ab665ad72f8b2e835dc564658254201431",
                instead=_made_of(
                    "data/NYC.npy and data/NYC_POI.npy of yingtaoluo/Spatial-Temporal-Attention-Network-for-POI-"
                    "Recommendation: arrays user, poi, minute, poi_latlon"
                ),
            )
        },
        form="checkins",
        holds={"events": 116_114, "users": 867, "items": 4_742},
    ),
    "assist2009": PublicSet(
        kind="events",
        about="ASSISTments 2009-2010, 'updated' cut: students answer exercises of skills, right or wrong (the kind of "
        "event); users are called train/1, test/1 ... by the part they are in; no times",
        licence="free for research; the repository it was taken from states no licence",
        files={
            "log": PublicFile(
                "rehearsal/assist2009_updated.npz",
                "111372d0d35c4ca59d7d919fca69eb42ee3a186177e0bd003b38f450f3aad384",
                instead=_made_of(
                    "data/assist2009_updated of jennyzhang0215/DKVMN: arrays train_skill, train_correct, train_len and "
                    "test_... end to end"
                ),
            )
        },
        form="exercises",
        holds={"events": 325_637, "users": 4_151, "items": 110},
    ),
}

GRAPHS = {
    "collegemsg": PublicSet(
        kind="graph",
        about="private messages among students of UC Irvine in 2004 (SNAP CollegeMsg; 'UCI' elsewhere)",
        licence="published for research (Panzarasa, Opsahl, Carley 2009) without an explicit licence",
        files={
            "log": PublicFile(
                "tcl/CollegeMsg.txt",
                "e00ba2415373dee52c00616065bcceaa4750e78de60d1855c76470600f10740f",
                _raw("wyd1502/DGNN", "7eca3e8e901a5902cd790b575d9eb899dfd12841", "data/CollegeMsg.txt"),
            )
        },
        form="interactions",
        options={"bipartite": False},
        holds={"interactions": 59_835, "entities": 1_899},
    ),
    "wikipedia-interactions": PublicSet(
        kind="graph",
        about="users who edit pages of Wikipedia in one month, with times (JODIE; tgbl-wiki elsewhere); no features",
        licence="derived from Wikipedia's edit logs (CC BY-SA)",
        files={
            "log": PublicFile(
                "tcl/wikipedia_edges.txt",
                "53754d231cd9ecf7012b924ec9d6d85b1d1d9f1d93f2955aa8f58f67ca864b8f",
                _raw(
                    "marwane-alilou/TemporalMotif-CTDG",
                    "bedcf8dc5c4dfdc0b96e78f8fcb49bb473f6d25c",
                    "Datasets/ml_wikipedia.txt",
                ),
            )
        },
        form="interactions",
        options={"bipartite": True},
        holds={"interactions": 157_474, "entities": 9_227},
    ),
}

CIFAR = {
    f"train_{number}": PublicFile(f"iad/cifar10_train_{number}.jpg", sha256, instead="")
    for number, sha256 in enumerate(
        (
            "c838f48d80d08a0076fdaf6a3efa1310624eee009e325420e07f2fef0e35f528",
            "982ed44424c4aaf68c2f8c6a8c1973992da81c816269170eb7d26b56a3ec4b3c",
            "6d648229ccbf9c2e29ab4a4a657934919bd4e5e61ed51ed83bddedfc42a57f02",
            "1ae7fc70af1670a6cb1e695257e531d06461b079a1ba0971e7b7cda7c0f27b7a",
            "3fd50065621a06b04fbef2b17df7470e763f9362be5ea8b7ad7e677f979fd003",
        )
    )
}
MOSAICS = _made_of(
    "CIFAR-10: 10,000 pictures a file, tiles of 32 x 32 in 100 rows of 100, in their original order; the classes "
    "beside them in cifar10_labels.npz"
)
EMOJI = "npm packages emoji-datasource-twitter, emoji-datasource-google and openmoji, named by emojibase-data"
PICTURES = {
    "cifar10": PublicSet(
        kind="pictures",
        about="CIFAR-10, 32 x 32 in ten classes; the training pictures went through JPEG at quality 96, the test's are "
        "exact",
        licence="no explicit licence; research use is customary, cite Krizhevsky 2009",
        files={
            **{part: file._replace(instead=MOSAICS) for part, file in CIFAR.items()},
            "test": PublicFile(
                "iad/cifar10_test.webp",
                "b3c946666f1bd5f3d0836a282e2755dbb4192a4f7382116ee2a4139d456731b7",
                instead=MOSAICS,
            ),
            "labels": PublicFile(
                "iad/cifar10_labels.npz",
                "b378158dd26d894336bd987b45841d5040553f03491da777b86bbf5d74da4e25",
                instead=MOSAICS,
            ),
        },
        form="mosaics",
        holds={"pictures": 60_000, "train": 50_000, "test": 10_000, "classes": 10},
    ),
    "fashion-mnist-small": PublicSet(
        kind="pictures",
        about="the first 9,000 training and 2,000 test pictures of Fashion-MNIST, 28 x 28 in grey",
        licence="MIT (Zalando SE)",
        files={
            "pictures": PublicFile(
                "iad/fashion_mnist_small.npz",
                "40620afbe37f7f39eac824665b6b5a61ae225854969c75804f90e8312ff16d1e",
                instead=_made_of("Fashion-MNIST: arrays x_train, y_train, x_test, y_test, classes"),
            )
        },
        form="arrays",
        holds={"pictures": 11_000, "train": 9_000, "test": 2_000, "classes": 10},
    ),
    "emoji-twemoji": PublicSet(
        kind="pictures",
        about="emoji of 48 x 48 with their English names; some show two people whose order of skin tones matters",
        licence="pictures CC BY 4.0 (Twemoji), names Unicode licence, index MIT",
        files={
            "pictures": PublicFile(
                "iais/emoji_twemoji.parquet",
                "6219b648433ffdccdf4a8fcce035ae23c96e8e8fac1192a0e57cbf7f3a6c1183",
                instead=_made_of(EMOJI),
            )
        },
        form="picture_table",
        options={"image": "png", "masks": ()},
        holds={"pictures": 3_786, "train": 3_340, "validation": 119, "test": 327},
    ),
    "coco-mini": PublicSet(
        kind="pictures",
        about="101 photographs of COCO 2017 with five captions each and boxes of objects; for tests, not for training",
        licence="captions and boxes CC BY 4.0; photographs as the row's `license` says, some non-commercial",
        files={
            "pictures": PublicFile(
                "iais/coco_mini.parquet",
                "e540622a99b952539c2586094a66c5647c80e12bca50f39c5d49aa14c38d8055",
                instead=_made_of("Obmutescence/COCO-MINI: columns jpeg, captions, coco_split ..."),
            )
        },
        form="picture_table",
        options={"image": "jpeg", "masks": (), "columns": "split=coco_split"},
        holds={"pictures": 101, "captions": 505},
    ),
    "nlvr-dev": PublicSet(
        kind="pictures",
        about="Cornell NLVR, development part: drawings of three boxes, a sentence (the caption), and whether it is "
        "true (the label)",
        licence="CC BY 4.0 (Suhr, Lewis, Yeh, Artzi 2017)",
        files={
            "pictures": PublicFile(
                "iais/nlvr_dev_png.parquet",
                "88bc6969623eb26a60081b9454dafcf9e26a3c86ddb0c239042c40fc04a604f9",
                instead=_made_of("lil-lab/nlvr: columns identifier and png, boxes in their first order"),
            ),
            "sentences": PublicFile(
                "iais/nlvr_dev.jsonl",
                "0d312c3d7309393c0e36d286c70b884fb276819699e9f8f2bcea2854ad46537b",
                _raw("lil-lab/nlvr", "18924841aa96d519cfb8584f0945350f07a6d860", "nlvr/dev/dev.json"),
            ),
        },
        form="sentences_beside",
        holds={"pictures": 989, "classes": 2},
    ),
    "emoji3": PublicSet(
        kind="pictures",
        about="emoji of 32 x 32, each drawn by three artists (columns twemoji, noto, openmoji), with names; parts "
        "train, val, test_comp and test_new",
        licence="twemoji CC BY 4.0, noto Apache-2.0, openmoji CC BY-SA 4.0, names MIT and Unicode licence",
        files={
            "pictures": PublicFile(
                "ufc/emoji3_32px.parquet",
                "616b331e1d9916a248f92df7964fb516523422181a2af30e826969b40b23830f",
                instead=_made_of(EMOJI),
            )
        },
        form="picture_table",
        options={"image": "twemoji", "masks": (), "columns": "caption=label"},
        holds={"pictures": 3_786, "train": 3_085, "validation": 136, "test_new": 209},
    ),
    "openmoji-64": PublicSet(
        kind="pictures",
        about="the openmoji pictures of emoji3 in 64 x 64, in the same order",
        licence="CC BY-SA 4.0 (OpenMoji project)",
        files={
            "pictures": PublicFile(
                "ufc/openmoji_64px.parquet",
                "f549c83e85c32252e880c69c821aa9c1ac9dc43295dc12a9bb7a2c7e6eeef8bc",
                instead=_made_of(EMOJI),
            )
        },
        form="picture_table",
        options={"image": "openmoji64", "masks": ()},
        holds={"pictures": 3_786},
    ),
    "emoji-noto": PublicSet(
        kind="pictures",
        about="1,911 emoji of 32 x 32 with names in six languages (columns caption for English, caption_de ...), the "
        "category as the label",
        licence="pictures Apache-2.0, captions MIT and Unicode licence",
        files={
            "pictures": PublicFile(
                "moe/emoji_noto_32px.npz",
                "009fdcb2d65a0ace80d038f4ea0c9ade97d0c1a11ab8f4a9635c8f921d5664b0",
                instead=_made_of(EMOJI),
            ),
            "captions": PublicFile(
                "moe/emoji_noto_captions.parquet",
                "d3a62885de063fe29818f9adeebff4c52d7ad2fc440a94b4463558df5a343a55",
                instead=_made_of(EMOJI),
            ),
        },
        form="captions_beside",
        holds={"pictures": 1_911, "train": 1_511, "validation": 191, "test": 209, "classes": 10},
    ),
}

WIKITABLETEXT = "369ef53fd28f93dd956b9043cf27ccac08a78e25"
TABLES = {
    "wikitabletext": PublicSet(
        kind="tables",
        about="rows of Wikipedia's tables, each with a sentence that says it (Bao et al. 2018); lower case, tokenised",
        licence="no licence file; the text is derived from Wikipedia (CC BY-SA)",
        files={
            part: PublicFile(
                f"sana/wikitabletext/MSRA_NLC.Table2Text.{end}",
                sha256,
                _raw("msra-nlc/Table2Text", WIKITABLETEXT, f"MSRA_NLC.Table2Text.{end}"),
            )
            for part, end, sha256 in (
                ("train", "train", "9d19f48e1383f2ed04b6b7019fffa828424481dafa3e44aa74e7387cc73c8a61"),
                ("validation", "dev", "5519b4f66c0a09d8619b05e3eed36fef8c56534fed9386f4be9aea0117439bbc"),
                ("test", "test", "825814c7d67ba51160b51050e8b5c47de458086ece9f175ff0ed0cd406721007"),
            )
        },
        form="parts_of_tables",
        holds={"tables": 13_318, "train": 10_000, "validation": 1_318, "test": 2_000},
    ),
    "webnlg": PublicSet(
        kind="tables",
        about="WebNLG 2.0 in English: triples of DBpedia and one to several texts that say them (Gardent et al. 2017)",
        licence="CC BY-NC-SA 4.0: not for commercial use",
        files={
            part: PublicFile(
                f"sana/webnlg_v2/{end}.jsonl",
                sha256,
                instead=_made_of("release_v2/xml of fuzihaofzh/webnlg-dataset: eid, category, triples, texts a line"),
            )
            for part, end, sha256 in (
                ("train", "train", "749ed99842e41e21489eb3351268201317015f156bc9a29d640842aa94062ce0"),
                ("validation", "dev", "8b52d6db6e38bdc88c4cdf523049143610e648e2dc9dffaa49e2380514c59e75"),
                ("test", "test", "bb9a96b44da2e7c632cca7e809bf29b7abf0c23ae4d7ffa9ff6633884447a980"),
            )
        },
        form="parts_of_tables",
        holds={"tables": 16_095, "train": 12_876, "validation": 1_619, "test": 1_600},
    ),
    "wikibio-sample": PublicSet(
        kind="tables",
        about="782 biographies of Wikipedia: infobox and first sentence (Lebret et al. 2016); for tests",
        licence="CC BY-SA 3.0 (Wikipedia)",
        files={
            name: PublicFile(
                f"sana/wikibio_sample/{file}",
                sha256,
                instead=_made_of("the first 582, 100 and 100 items of DavidGrangier/wikipedia-biography-dataset"),
            )
            for name, file, sha256 in (
                ("train", "train.box", "914a5f36f25b5371975fdd44fce48b4d52397bce325f2d39de7c07ff8586e55a"),
                ("validation", "valid.box", "59504ed73eca4285729998db5b117c395dbdd67a3fdc3adf7f362aa9e23b847d"),
                ("test", "test.box", "a7783e3093a9ab596e6b4c8f134cc3f0a53a22921e4e1fc20f609fd5d2810b01"),
                (
                    "train_texts",
                    "train.summary",
                    "de3471505652957320604c355e8a8fd14fe0b11ae0160805a4a0ae4067b20392",
                ),
                (
                    "validation_texts",
                    "valid.summary",
                    "b910fd086f661e0d3239405c689f6e74276a02a97147a15fd8bf8ce7d5c05320",
                ),
                ("test_texts", "test.summary", "c1c3d5aaa2e7f0afe0a8e41d87e3c4a9e8f74ee2f20cf9f04c2051bbaec2e0a6"),
            )
        },
        form="parts_of_tables",
        holds={"tables": 782, "train": 582, "validation": 100, "test": 100},
    ),
}

BABI = PublicFile(
    "rehearsal/babi_dev.tar",
    "227e6c63bb6fe8f0b6ec04d3712f23b25e5764b7a47f77aff05efc7ca15c3581",
    instead=_made_of("bAbI tasks v1.2: a tar archive of babi_dev/en-10k/qa1_..._train.txt and so on"),
)
QUESTIONS = {
    "babi": PublicSet(
        kind="questions",
        about="twelve of Facebook's bAbI tasks (v1.2): the question, what had been told before it (column story), the "
        "answer and the sentences that decide it; 10,000 questions a task to train on, of qa3 1,000",
        licence="CC BY 3.0 (Weston et al. 2015)",
        files={"archive": BABI},
        form="babi",
        holds={"questions": 123_000, "train": 111_000, "test": 12_000},
    ),
    "long-babi": PublicSet(
        kind="questions",
        about="test questions of qa1, qa2 and qa6 in streams of 128, 512 and 2,048 words of Pride and Prejudice "
        "(columns story, is_fact, length)",
        licence="CC BY 3.0 (bAbI); the novel is in the public domain",
        files={
            "questions": PublicFile(
                "rehearsal/long_babi_test.jsonl",
                "22d2f3b94a2304f7e2cf8be4aebbde7d7235b1725bfe0207e80a28fb0032d44e",
                instead=_made_of("bAbI's test files and the novel: id, task, length, story, support, question, answer"),
            )
        },
        form="questions",
        holds={"questions": 1_800},
    ),
}

TEXTS = {
    "tiny-shakespeare": PublicSet(
        kind="text",
        about="a million characters of Shakespeare's plays; usual split: the first 90 % and the last 10 %",
        licence="public domain",
        files={
            "text": PublicFile(
                "moe/tinyshakespeare.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                instead="get data/tinyshakespeare/input.txt of karpathy/char-rnn",
            )
        },
        form="",
    ),
    "wikitext-2": PublicSet(
        kind="text",
        about="WikiText-2, tokenised, validation and test parts only",
        licence="CC BY-SA 3.0 (Wikipedia)",
        files={
            "validation": PublicFile(
                "moe/wikitext2_valid.txt",
                "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                instead="get word_language_model/data/wikitext-2/valid.txt of pytorch/examples",
            ),
            "test": PublicFile(
                "moe/wikitext2_test.txt",
                "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
                instead="get word_language_model/data/wikitext-2/test.txt of pytorch/examples",
            ),
        },
        form="",
    ),
    "new-testament": PublicSet(
        kind="text",
        about="65,068 verses in eight languages and four scripts (Parquet: lang, book, chapter, verse, text, split)",
        licence="CC0 1.0",
        files={
            "verses": PublicFile(
                "moe/nt_multilingual.parquet",
                "c988eb613d80633a1a1ae77d2b80be8098f12371f36c6e0717ff72c98bb67c2b",
                instead=_made_of("the New Testaments of christos-c/bible-corpus"),
            )
        },
        form="",
    ),
    "pride-and-prejudice": PublicSet(
        kind="text",
        about="the novel, and its sentences of 5 to 40 words without the names of bAbI, one a line",
        licence="public domain",
        files={
            "text": PublicFile(
                "rehearsal/book_pride_and_prejudice.txt",
                "cb7c93d88660aa9ed79255080861376f3d62249870fcee4c040d244c9fc67469",
                instead="get the text of Jane Austen's novel, 1813",
            ),
            "sentences": PublicFile(
                "rehearsal/book_sentences.txt",
                "f3907f7aff15f1cda6eaec6b7e2b0ef77e20e5eee6859e0f1055412f691035e0",
                instead=_made_of("the novel"),
            ),
        },
        form="",
    ),
}

SETS: dict[str, PublicSet] = {**EVENTS, **GRAPHS, **PICTURES, **TABLES, **QUESTIONS, **TEXTS}
