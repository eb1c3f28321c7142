"""Invented people and places: every list here is our own.

Phones come from ranges that regulators keep for fiction (France: ARCEP; United Kingdom: Ofcom; Germany:
Bundesnetzagentur; United States: 555-01xx), e-mail addresses from the domains of RFC 2606.
"""

FEMALE = (
    "Camille", "Élodie", "Inès", "Manon", "Chloé", "Sarah", "Léa", "Jeanne", "Noémie", "Margaux", "Anaïs",
    "Lucie", "Agathe", "Clémence", "Solène", "Zoé", "Hélène", "Mathilde", "Aurélie", "Fatou", "Amina", "Ewa",
    "Greta", "Heidi", "Olivia", "Harriet", "Beatrice", "Maribel", "Ximena", "Thuy",
)  # fmt: skip
MALE = (
    "Hugo", "Rémi", "Léo", "Théo", "Jules", "Antoine", "Mehdi", "François", "Gaël", "Loïc", "Bastien",
    "Étienne", "Adrien", "Baptiste", "Cédric", "Jérôme", "Sébastien", "Karim", "Mamadou", "Piotr", "Klaus",
    "Jürgen", "Oliver", "Harry", "Graham", "Duncan", "Pablo", "Mateo", "Minh", "Andrei",
)  # fmt: skip
LAST = (
    "Dubreuil", "Marchandeau", "Lavigny", "Roussille", "Castelnou", "Bérangier", "Fontvielle", "Garrouste",
    "Hautecourt", "Jolivay", "Kermarrou", "Lestrange", "Montferrand", "Noirmont", "Orvault", "Pélissard",
    "Quintrec", "Ravenel", "Sauvterre", "Tréguier", "Ussel", "Valfleury", "Wambrecht", "Yvetot", "Zellenberg",
    "Abrial", "Boisjoli", "Clairvent", "Dampierrot", "Estrabaud", "Fougerolle", "Grandpré", "Hérissart",
    "Islemont", "Jaubertin", "Labarthète", "Maisonrouge", "Nervieux", "Oléac", "Puymirol", "Rocheblave",
    "Saint-Aubert", "Tournemine", "Verdelais", "O'Kearney", "Ashdown", "Brambleby", "Colwick", "Dunmoor",
    "Elverton", "Fennimore", "Grünthal", "Hohenfeld", "Kaltenbrück", "Lindenau", "Steinacher", "Weissbrod",
    "Van der Moer", "De Witteberg", "Rossignolo", "Benhaddou", "Diarraka", "Nguyenval", "Kowalszyn",
)  # fmt: skip
STREETS = (
    "rue des Aulnes Bleus", "rue du Vieux Tramway", "avenue des Trois Comètes", "impasse du Hérisson",
    "boulevard de la Baleine", "place du Grand Sablier", "chemin des Lanternes", "allée des Quatre Merles",
    "rue de l'Astrolabe", "quai des Brumes d'Or", "rue du Renard Savant", "avenue du Marché aux Plumes",
    "passage de la Pendule", "rue des Moulins Perdus", "cours des Hirondelles", "sentier du Loup Blanc",
    "Copper Kettle Lane", "Marmalade Street", "Old Lighthouse Road", "Thistledown Avenue", "Nebelweg",
    "Am Blauen Speicher", "Sternschnuppenallee", "Windrosenstrasse",
)  # fmt: skip

COUNTRIES = ("FR", "BE", "DE", "GB", "CH", "US")
COUNTRY_WEIGHTS = (70, 8, 6, 7, 5, 4)
# currency of each country, as a position in catalogue.CURRENCIES
COUNTRY_CURRENCY = (0, 0, 0, 1, 2, 3)

# (town, beginning of its postal codes), by country; two characters follow, see `postal_ends`
TOWNS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("Paris", "750"), ("Lyon", "690"), ("Lille", "590"), ("Nantes", "440"), ("Bordeaux", "330"),
        ("Rennes", "350"), ("Strasbourg", "670"), ("Toulouse", "310"), ("Grenoble", "380"), ("Dijon", "210"),
        ("Brest", "292"), ("Nice", "060"), ("Tours", "370"), ("Reims", "511"), ("Metz", "570"), ("Pau", "640"),
    ),
    (("Bruxelles", "10"), ("Liège", "40"), ("Namur", "50"), ("Gent", "90")),
    (("Berlin", "101"), ("Köln", "506"), ("Leipzig", "041"), ("Freiburg", "791")),
    (("Leeds", "LS1 "), ("Bristol", "BS1 "), ("York", "YO1 "), ("Cardiff", "CF1 ")),
    (("Genève", "12"), ("Lausanne", "10"), ("Bern", "30"), ("Basel", "40")),
    (("Portland", "972"), ("Madison", "537"), ("Austin", "787"), ("Boston", "021")),
)  # fmt: skip

# of each country: beginnings of fictional numbers in two spellings, and the free digits (2 or 4 follow)
PHONES: tuple[tuple[tuple[str, str], ...], ...] = (
    tuple(
        (f"0{a} {b} {c} ", f"+33{a}{b}{c}")
        for a, b, c in (
            ("6", "39", "98"), ("1", "99", "00"), ("2", "61", "91"),
            ("3", "53", "01"), ("4", "65", "71"), ("5", "36", "49"),
        )
    ),
    (),
    tuple((f"030 23125 {d}", f"+493023125{d}") for d in range(10)),
    tuple((f"07700 900 {d}", f"+447700900{d}") for d in range(10)),
    (),
    tuple((f"({area}) 555-01", f"+1{area}55501") for area in ("503", "608", "512", "617")),
)  # fmt: skip
PHONE_DIGITS = (4, 0, 2, 2, 0, 2)

DOMAINS = ("example.com", "example.org", "example.net")

_PLAIN = str.maketrans("àâäçéèêëîïôöùûüÉÈÀÇ", "aaaceeeeiioouuuEEAC")


def plain(text: str) -> str:
    """Text without accents."""
    return text.translate(_PLAIN)


def mailbox(text: str) -> str:
    """The part of an address made from a name: lower-case letters only."""
    return "".join(c for c in plain(text).lower() if c.isalpha())


def misspelt(text: str) -> str:
    """A typing error: the third and fourth letter swapped, the last one doubled if too short."""
    return text[:2] + text[3] + text[2] + text[4:] if len(text) > 4 else text + text[-1]


def spellings(words: tuple[str, ...]) -> list[str]:
    """Each word as written, in capitals, in small letters, without accents, misspelt and as an initial."""
    ways = (str, str.upper, str.lower, plain, misspelt, lambda w: w[0] + ".")
    return [way(word) for way in ways for word in words]


def postal_ends(country: int) -> list[str]:
    """The hundred endings of the postal codes of a country."""
    if COUNTRIES[country] == "GB":
        return [f"{k % 10}{'ABDEFGHJLN'[k // 10]}Q" for k in range(100)]
    return [f"{k:02d}" for k in range(100)]
