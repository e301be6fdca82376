"""What likely patient identifiers look like, as regular expressions of the library `regex`.

Case counts, unless a part says otherwise: "MS" is an illness and "Ms" a title. `\\K` starts the match behind a cue, so
that the cue itself stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping

NAME = "name"
RECORD_NUMBER = "record number"
INSURANCE_NUMBER = "insurance number"
IDENTITY_NUMBER = "identity number"
DATE_OF_BIRTH = "date of birth"
PHONE = "phone"
EMAIL = "email"
ADDRESS = "address"
POSTCODE = "postcode"

_BLANK = r"[ \t\u00a0]+"
_PARTICLE = r"(?:(?:van|von|de|der|den|da|di|du|dos|del|la|le|bin|al|el)[ \t]+|[dl]['’])"
_PART = rf"{_PARTICLE}{{0,3}}\p{{Lu}}(?:['’]\p{{Lu}})?(?:\p{{L}}|['’-](?!s\b)\p{{L}})*\p{{Ll}}(?:-\p{{Lu}}\p{{Ll}}+)?"
_INITIAL = rf"\p{{Lu}}\.?{_BLANK}"
_FULL_NAME = rf"(?:{_INITIAL}){{0,2}}{_PART}(?:{_BLANK}(?:{_INITIAL}){{0,2}}{_PART}){{0,2}}"
_SURNAME = (
    "[王李张刘陈杨赵黄周吴徐孙胡朱林何郭罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈彭吕苏卢"
    "蒋蔡贾丁魏薛叶阎潘杜戴钟汪姜姚谭廖邹熊陆郝崔邱秦侯邵孟段钱尹黎乔贺赖龚]"
)
"""The most common surnames that are hardly ever anything else."""
_CAPITALS = r"\p{Lu}[\p{Lu}'’-]{2,}"
_IS = r"(?:[ \t]*[:：=][ \t]*|[ \t]+is[ \t]+)"
_NUMBER_WORD = r"(?:number|num\.?|no\.?|nr\.?|id(?:entifier)?|\#)"
_CODE = r"(?=(?:[A-Za-z]*[-/ ]?)(?:[-/ ]?\d){4})[A-Za-z]{0,4}[-/ ]?\d(?:[-/ ]?\d|[A-Za-z](?![a-z])|-)*"
"""At least four digits, perhaps behind letters, perhaps in groups."""
_BEFORE_CODE = r"[ \t]*(?:is\b|was\b)?[ \t]*[:：\#=]?[ \t]*"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\p{L}*\.?"
_DATE = (
    r"(?:\d{1,2}[-/. ]\d{1,2}[-/. ](?:\d{4}|\d{2})\b|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[-. ]*(?:of )?(?i:{_MONTH})[-,. ]*\d{{4}}\b"
    rf"|(?i:{_MONTH}) ?\d{{1,2}}(?:st|nd|rd|th)?,? ?\d{{4}}\b|\d{{4}} ?年 ?\d{{1,2}} ?月 ?\d{{1,2}} ?日)"
)
_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Close|Court|Boulevard|Blvd|Way|Place|Crescent|Terrace|Square"
    r"|Gardens|Grove|Parkway|Highway)"
)
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA"
    "|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC"
)

_TITLE_OR_CUE = (
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof)\b|\b(?:MR|MRS|MS|DR)\.|[Nn][Aa][Mm][Ee]|\b[Cc]alled\b|[Pp]atient:"
    r"|[Kk]in\b|\bKIN\b"
)
_CODE_LIKE = r"\p{Nd}(?:[-/ .]?\p{Nd}){3}|\p{Nd}[A-Z][A-Z\p{Nd}]\p{Nd}-?[A-Z]"
_ADDRESS_CUE = r"(?:[Aa]ddress|ADDRESS)"
_BOX = r"\b[Pp]\.?[ \t]?[Oo]\.?[ \t](?:[Bb]ox|BOX)[ \t]+\d{1,6}\b"
_IN_GERMAN_STREET = r"(?:straße|strasse|str\.|weg|allee|gasse|platz)[ \t]+\p{Nd}"
_GERMAN_STREET = r"\b\p{Lu}\p{Ll}+(?:straße|strasse|str\.|weg|allee|gasse|platz)[ \t]+\d{1,4}[a-z]?\b"
_IN_FRENCH_STREET = r"\p{Nd}(?:[ \t]?(?:bis|ter))?,?[ \t]+(?:rue|avenue|boulevard|allée|chemin)[ \t]"
_FRENCH_STREET = (
    r"\b\d{1,4}(?:[ \t]?(?:bis|ter))?,?[ \t]+(?:rue|avenue|boulevard|allée|chemin)[ \t]+"
    r"(?:d[eu][ \t]+|des[ \t]+|de[ \t]la[ \t]+|d['’]|l['’])?\p{Lu}\p{L}+"
)
_POSTCODE_WORD = r"[Pp]ost(?:al)?[ \t]?[Cc]ode|(?:[Zz]ip|ZIP)(?:[ \t]?[Cc]ode)?|PLZ"
_POSTCODE_CUE = rf"{_POSTCODE_WORD}|邮编"
_POSTCODE_END = r"\d[ABD-HJLNP-UW-Z]{2}\b"

PATTERNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    _TITLE_OR_CUE: {
        NAME: (
            # A single letter, as in "Mr. X", hides a name already. Capitals need the dot: "MR" is an imaging method.
            rf"\b(?<!\b(?:[Yy]our|[Tt]he|[Aa]|[Mm]y)[ \t]+)(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof)\b(?:\.{_BLANK}?|{_BLANK})"
            rf"(?:and{_BLANK}Mrs\.?{_BLANK})?\K{_FULL_NAME}",
            rf"\b(?:MR|MRS|MS|DR)\.{_BLANK}?\K{_CAPITALS}(?:{_BLANK}{_CAPITALS})?\b",
            rf"\b(?i:patient(?:['’]s)?[ \t]+(?:full[ \t]+)?name|(?:full|first|last|given|family)[ \t]+name|surname"
            r"|next[ \t]+of[ \t]+kin|name[ \t]+of[ \t]+(?:the[ \t]+)?patient)"
            rf"{_IS}\K(?:{_FULL_NAME}|{_CAPITALS}(?:{_BLANK}{_CAPITALS})?)",
            rf"\b(?i:my|his|her)[ \t]+name[ \t]+is[ \t]+\K{_FULL_NAME}",
            r"\b(?:(?i:patient|child)[ \t]+named|(?i:man|woman|boy|girl|lady|gentleman)[ \t]+(?:named|called))[ \t]+"
            rf"\K{_FULL_NAME}",
            rf"\b[Pp]atient:[ \t]*\K{_FULL_NAME}(?=[ \t]*[,;(]?[ \t]*(?:DOB|D\.O\.B|MRN|NHS|born|aged|age\b))",
        ),
    },
    _CODE_LIKE: {
        RECORD_NUMBER: (
            rf"\b(?i:MRN|(?:medical|health|hospital|clinic|patient|NHS|CHI|chart)[ \t]*(?:record[ \t]*)?{_NUMBER_WORD}"
            rf"|(?:medical|health|patient)[ \t]+record|record[ \t]+{_NUMBER_WORD}){_BEFORE_CODE}\K{_CODE}",
        ),
        INSURANCE_NUMBER: (
            r"\b(?i:insurance|policy|member|subscriber|beneficiary|medicare|medicaid)[ \t]*(?i:policy[ \t]*)?"
            rf"(?i:{_NUMBER_WORD}){_BEFORE_CODE}\K(?:[A-Z]{{2}}[ ]?(?:\d\d[ ]?){{3}}[A-D]\b"
            rf"|\d[A-Z][A-Z\d]\d-?[A-Z][A-Z\d]\d-?[A-Z]{{2}}\d\d\b|{_CODE})",
        ),
        IDENTITY_NUMBER: (
            rf"\b(?i:SSN|social[ \t]+security(?:[ \t]+{_NUMBER_WORD})?|passport(?:[ \t]+{_NUMBER_WORD})?"
            rf"|driv(?:er['’]?s|ing)[ \t]+licen[cs]e(?:[ \t]+{_NUMBER_WORD})?){_BEFORE_CODE}\K{_CODE}",
            r"(?<!\d)[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![\dA-Za-z])",
        ),
        DATE_OF_BIRTH: (
            rf"\b(?i:D\.?O\.?B\.?|date[ \t]+of[ \t]+birth|birth[ \t]?date|birthday|born|geboren|née?)[ \t]*"
            rf"(?i:is\b|was\b|on\b|am\b|le\b)?[ \t]*(?:the[ \t]+)?[:：=(]?[ \t]*\K{_DATE}",
        ),
        POSTCODE: (
            rf"\b(?=[A-Z]{{2}}[ \t]+\d{{5}})(?<=\p{{L}},?[ \t]+)(?:{_STATES})[ \t]+"
            r"\K\d{5}(?:-\d{4})?\b(?=[ \t]*(?:[.,;)\n]|$|USA))",
        ),
    },
    rf"\b{_STREET}\b": {
        ADDRESS: (
            rf"\b\d{{1,5}}[A-Za-z]?,?[ \t]+(?:(?:North|South|East|West|N|S|E|W)\.?[ \t]+)?"
            rf"(?:\p{{Lu}}[\p{{Ll}}'’]+[ \t]+){{1,3}}{_STREET}\b\.?"
            r"(?:,?[ \t]+(?:Apt|Apartment|Flat|Unit|Suite)\.?[ \t]*\#?\w{1,5})?",
        ),
    },
    _ADDRESS_CUE: {ADDRESS: (rf"\b{_ADDRESS_CUE}[ \t]*[:：][ \t]*\K(?=[^\n;]*\d)[^\n;.]{{5,80}}",)},
    r"[Oo]\.?[ \t](?:[Bb]ox|BOX)[ \t]+\p{Nd}": {ADDRESS: (_BOX,)},
    _IN_GERMAN_STREET: {ADDRESS: (_GERMAN_STREET,)},
    _IN_FRENCH_STREET: {ADDRESS: (_FRENCH_STREET,)},
    _POSTCODE_CUE: {
        POSTCODE: (
            rf"(?:\b(?:{_POSTCODE_WORD})|邮编)[ \t]*(?:is\b)?[:：]?[ \t]*"
            r"\K(?=[A-Z\d -]*\d)[A-Z\d][A-Z\d -]{2,8}[A-Z\d]\b",
        ),
    },
    r"\p{Nd}[ABD-HJLNP-UW-Z]{2}\b": {POSTCODE: (rf"\b[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]?[ ](?!5HT){_POSTCODE_END}",)},
    r"\p{Han}": {
        NAME: (
            r"姓名[:：]?\s*\K\p{Han}{2,4}(?![\p{Han}])",
            rf"{_SURNAME}\p{{Han}}{{0,2}}?(?=先生(?![长活成产出存殖理])|女士|小姐)",
        ),
        RECORD_NUMBER: (r"(?:病历号|住院号|门诊号|病案号|就诊卡号)[:：]?\s*\K[A-Za-z]*\d{4,}",),
        INSURANCE_NUMBER: (r"(?:医保卡号|医保号|社保号)[:：]?\s*\K[A-Za-z]*\d{4,}",),
        DATE_OF_BIRTH: (rf"(?:出生日期|出生年月日|生日|生于)[:：]?\s*\K{_DATE}",),
        ADDRESS: (r"(?:住址|地址)[:：]\s*\K(?!\[)[^\n;；。，,]{4,60}",),
    },
}
"""What a text must hold for any of the patterns to match, which is quick to see, and the patterns of each kind.

What must be held is written so that RE2 reads it as `regex` does, or finds more: `\\p{Nd}` in place of `\\d`, and `\\b`
at ASCII letters only.
E-mail addresses and phones are Presidio's own.
"""
