"""The words of a hybrid search: in scripts without spaces, in forms for the eye, and in Latin."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.filesearch import search_file
from minilm_onnx.index.folding import folded
from minilm_onnx.index.ranking import by_words
from minilm_onnx.index.schema import FORMAT, LATIN_WORDS
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.index.words import words_of
from tests.support.indexes import TEXTS, content, without_metadata

apsw = pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")

PASSAGES = {
    "zh password": "如何重置密码：在登录页面点击忘记密码，然后按照邮件操作。",
    "zh refund": "退款将在十天内退回到您使用的银行卡。",
    "zh cat": "猫每天要睡十几个小时。",
    "zh deploy": "重跑gen-itgc后修复了数据库错误。",
    "ja password": "パスワードを忘れた場合は、ログイン画面で再設定してください。",
    "ja hours": "営業時間は午前八時から午後六時までです。",
    "ja fish": "鯨は海にいます。",
    "th password": "หากลืมรหัสผ่าน ให้กดปุ่มที่หน้าเข้าสู่ระบบ",
    "th refund": "เงินคืนจะโอนเข้าบัตรของคุณภายในสิบวัน",
    "ko password": "비밀번호를 잊으셨다면 로그인 화면에서 재설정을 누르세요.",
    "ko refund": "환불은 열흘 안에 입금됩니다.",
    "hi book": "यह किताब हिन्दी में है।",
    "en password": "Reset your password with the gen-itgc tool.",
    "en refund": "Refunds are paid within ten days.",
}


def found(index: TextIndex, query: str) -> list[str]:
    """The sources of what has the words of a query, the best first."""
    names = [passage.source for passage in index.passages()]
    numbers = [passage.id for passage in index.passages()]
    with index._reading() as connection:
        ranked = by_words(connection, query, 100)
    return [names[numbers.index(passage)] for passage, _ in ranked]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, encoder: SentenceEncoder) -> TextIndex:
    index = TextIndex(tmp_path_factory.mktemp("words") / "shop.db", encoder)
    with warnings.catch_warnings(action="ignore"):  # of what the model cannot read
        for source, text in PASSAGES.items():
            index.add(source, text)
    return index


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("忘记密码怎么办", "zh password"),
        ("密码", "zh password"),
        ("退款多久到账", "zh refund"),
        ("猫", "zh cat"),
        ("数据库", "zh deploy"),
        ("重跑gen-itgc", "zh deploy"),
        ("パスワードの再設定", "ja password"),
        ("時間", "ja hours"),
        ("鯨", "ja fish"),
        ("ลืมรหัสผ่าน", "th password"),
        ("เงินคืนเมื่อไร", "th refund"),
        ("비밀번호", "ko password"),
        ("환불", "ko refund"),
        ("हिन्दी किताब", "hi book"),
        ("password reset", "en password"),
        ("refund", "en refund"),
        ("What about 密码 and 登录?", "zh password"),
    ],
)
def test_words_are_found_in_every_script(shop: TextIndex, query: str, best: str) -> None:
    assert found(shop, query)[0] == best
    assert shop.search(query, hybrid=True)


def test_an_identifier_is_found_beside_ideographs(shop: TextIndex) -> None:
    assert set(found(shop, "itgc")) == {"zh deploy", "en password"}


def test_letters_that_stand_apart_are_not_those_that_stand_together(shop: TextIndex) -> None:
    assert found(shop, "码密") == []
    assert found(shop, "天使") == []  # both are in "zh refund"


def test_latin_is_ranked_as_by_fts5_itself(index: TextIndex) -> None:
    with apsw.Connection(":memory:") as plain:
        plain.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize='porter unicode61')")
        for source, text in TEXTS.items():
            index.add(source, text)
            plain.execute("INSERT INTO words VALUES (?)", (text,))
        for words in (["refunds"], ["answer", "3", "cats"], ["what", "opening", "say"]):
            rows = plain.execute(
                "SELECT rowid, rank FROM words WHERE words MATCH ? ORDER BY rank, rowid",
                (" OR ".join(words),),
            ).fetchall()
            with index._reading() as connection:
                ranked = by_words(connection, " ".join(words), 100)
            assert [(passage, -score) for passage, score in ranked] == rows


FORMS = [
    ("The ﬁnance oﬃce conﬁrms the ﬂow", "The finance office confirms the flow"),
    ("Ｒｅｓｅｔ your ＰＩＮ１２３", "Reset your PIN123"),
    ("a room of 20 m² for CO₂", "a room of 20 m2 for CO2"),
    ("ﾊﾟｽﾜｰﾄﾞ", "パスワード"),
    ("Cafe\u0301 in Ko\u0308ln", "Café in Köln"),
    ("the ﬅraße", "the straße"),
    ("the infor\u00admation on 1\ufe0f", "the information on 1"),
    ("𝐑𝐞𝐬𝐞𝐭 the 𝓅𝒶𝓈𝓈𝓌𝑜𝓇𝒹", "Reset the password"),
    ("bake at 180℃ by № 5 Ⅳ", "bake at 180°C by No 5 IV"),
]


@pytest.mark.filterwarnings("ignore:.*unknown")
@pytest.mark.parametrize(("form", "plain"), FORMS)
def test_forms_for_the_eye_are_found_by_plain_ones_and_the_reverse(
    index: TextIndex, form: str, plain: str
) -> None:
    index.add("form", form)
    index.add("plain", plain)
    index.add("other", "the kitchen has an oven")
    for query in (form, plain):
        assert found(index, query)[:2] == ["form", "plain"]
        first, second, *_ = index.search(query, top_k=2)
        assert [first.source, second.source] == ["form", "plain"]
        assert first.score == second.score > 0.999
        assert (first.text, second.text) == (form, plain)  # as they stand there


@pytest.mark.filterwarnings("ignore:.*unknown")
def test_words_are_apart_where_a_line_may_end(index: TextIndex) -> None:
    index.add("thai", "รหัส\u200bผ่าน")
    index.add("english", "any\u200bwhere")
    assert found(index, "รหัส ผ่าน") == ["thai"]
    assert found(index, "where") == ["english"]


@pytest.mark.filterwarnings("ignore:.*unknown")
def test_capitals_are_small_letters(index: TextIndex) -> None:
    index.add("german", "Die STRASSE in GÖTTINGEN")
    index.add("greek", "ΟΔΟΣ")
    for query, best in (("Straße", "german"), ("göttingen", "german"), ("οδος", "greek")):
        assert found(index, query) == [best]


@pytest.mark.filterwarnings("ignore:.*unknown")
def test_signs_that_the_model_knows_stay(index: TextIndex) -> None:
    assert folded("Acme™ ½ … ℠ 2⅔") == "Acme™ ½ … ℠ 2⅔"
    index.add("sign", "The Acme™ phone costs ½ as much…")
    assert found(index, "acme") == ["sign"]


def test_a_file_is_searched_by_plain_forms(tmp_path: Path, encoder: SentenceEncoder) -> None:
    file = tmp_path / "report.txt"
    file.write_text(f"The kitchen has a new oven.\n{FORMS[0][0]}\n", "utf-8")
    first, *_ = search_file(encoder, file, FORMS[0][1]).results
    assert (first.text, first.first_line) == (FORMS[0][0], 2)
    assert first.score > 0.999


@pytest.mark.parametrize("query", ["_", "???", "\u0301", '"', "* NEAR(", "\u200b", "゙", "'"])
def test_any_question_is_taken(shop: TextIndex, query: str) -> None:
    assert isinstance(found(shop, query), list)


def test_a_question_is_words_and_letters_side_by_side() -> None:
    assert words_of("如何重置 my C++_code 密") == [
        "如 何",
        "何 重",
        "重 置",
        "my",
        "c",
        "_code",
        "密",
    ]
    assert words_of("รหัสผ่าน") == ["ร หั ส", "หั ส ผ่", "ส ผ่ า", "ผ่ า น"]
    assert words_of("如何") == ["如 何"]
    assert len(words_of("".join(map(chr, range(0x4E00, 0x5E00))))) == 512


def make_former(db: Path, sources: Sequence[str]) -> None:
    """Make of an index one as the former version wrote it."""
    with apsw.Connection(str(db)) as connection:
        without_metadata(connection)
        connection.execute("DROP TABLE words")
        connection.execute(
            "CREATE VIRTUAL TABLE words USING fts5 (headings, text, content='passages', "
            "content_rowid='id', tokenize='porter unicode61')"
        )
        connection.execute(
            "INSERT INTO words (rowid, headings, text) SELECT id, headings, text FROM passages"
        )
        connection.execute(f"PRAGMA user_version = {LATIN_WORDS}")
        assert connection.execute("SELECT count(*) FROM passages").get == len(sources)


@pytest.mark.filterwarnings("ignore:.*unknown")
@pytest.mark.parametrize("way", ["add", "update", "delete", "rebuild"])
def test_an_index_of_the_former_format_is_read_and_brought_up_to_date_when_written(
    db: Path, encoder: SentenceEncoder, way: str
) -> None:
    with TextIndex(db, encoder) as index:
        for source, text in PASSAGES.items():
            index.add(source, text)
        vectors = np.stack([passage.vector for passage in index.passages()])
    make_former(db, list(PASSAGES))
    with TextIndex(db, encoder) as index:
        assert found(index, "password") == ["en password"]
        assert found(index, "密码") == []
        assert index.search("password", hybrid=True)[0].source == "en password"
        with index._reading() as connection:
            assert connection.execute("PRAGMA user_version").get == LATIN_WORDS
    storage: Storage = "int8" if way == "rebuild" else "float32"
    with TextIndex(db, encoder, storage=storage, rebuild_vectors=way == "rebuild") as index:
        if way == "delete":
            assert index.delete("zh refund") == 1
        elif way != "rebuild":
            getattr(index, way)("new" if way == "add" else "zh refund", "one more")
        assert found(index, "密码") == ["zh password"]
        assert found(index, "password") == ["en password"]
        assert found(index, "退款") == (["zh refund"] if way in ("add", "rebuild") else [])
        with index._reading() as connection:
            assert connection.execute("PRAGMA user_version").get == FORMAT
        if way == "add":
            kept = [passage.vector for passage in index.passages()][: len(vectors)]
            assert np.array_equal(np.stack(kept), vectors)
    content(db, encoder)
