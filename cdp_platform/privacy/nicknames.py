"""Short and familiar forms of given names, each with the one name that stands for the whole family of forms.

The names at the head are chosen, not right: Betty and Eliza meet in `elizabeth`. A form that belongs to several names
stands for the first of them (`bert` for `albert`). Names of brothers and sisters (`samuel`, `samantha`) stay apart.
"""

from collections.abc import Mapping
from typing import Final

_FORMS: Final = """
abigail: abby gail
albert: bert al bertie
alexander: alex alec alejandro sasha
alexandra: alexa alejandra sandra
alfred: alf fred alfie
amanda: mandy
andrew: andy drew andreas
angela: angie angelina
anthony: tony antonio anton
barbara: barb babs barbra
benjamin: ben benny benjy
bradley: brad
caroline: carrie carolyn carol caro
catherine: cathy kate katie kathy katherine kathryn kathleen cath katy
charles: charlie chuck chas carlos
christina: christine tina chrissy kristina kristin kristen
christopher: chris kris topher kristopher
cynthia: cindy
daniel: dan danny
danielle: dani
david: dave davey
deborah: debbie deb debra
dennis: denny
donald: don donny
dorothy: dot dottie
douglas: doug
edward: ed eddie ted ned teddy eduardo
elizabeth: liz beth betty betsy lizzie eliza libby elisabeth
emily: em emmy
eugene: gene
florence: flo flossie
frances: fran francesca
francis: frank frankie francisco
frederick: freddie freddy frederic
gabriel: gabe
gabrielle: gabby gabriela
george: georgie jorge
gerald: gerry jerry gerard
gregory: greg gregg
harold: hal harry
helen: nell nellie ellen
henry: hank enrique
isabella: isabel izzy bella isabelle
jacob: jake jacobo
james: jim jimmy jamie jaime
janet: jan
jennifer: jen jenny jenn
jeffrey: jeff geoffrey geoff
jessica: jess jessie
john: jack johnny jon juan johnnie
jonathan: jonathon
joseph: joe joey jose
josephine: jo josie
joshua: josh
judith: judy judi
kenneth: ken kenny
kimberly: kim kimberley
lawrence: larry laurence lorenzo
leonard: len lenny leo
louis: lou louie luis
madeline: maddie madison maddy madeleine
margaret: maggie meg peggy marge margie greta margarita
martin: marty
mary: molly polly marie maria mae
matthew: matt matty
megan: meagan meghan
melissa: missy lissa
michael: mike mick mickey micky miguel mikey
nancy: nan
nathaniel: nathan nate
nicholas: nick nicky nicolas
nicole: nikki
olivia: liv livvy
pamela: pam
patricia: trish patty tricia pat
patrick: paddy
peter: pete pedro
philip: phil phillip
rachel: rach rachael
raymond: ray
rebecca: becky becca bec
richard: dick rick ricky rich richie ricardo
robert: bob bobby rob robbie bert roberto
roger: rodger
ronald: ron ronnie
samantha: sammie
samuel: sam sammy
sarah: sally sara sadie
stephanie: steph stefanie
stephen: steve steven stevie
susan: sue susie suzanne suzy
sydney: sidney syd sid
terence: terry terrence
theresa: teresa tess
theodore: theo
thomas: tom tommy tomas
timothy: tim timmy
valerie: val
vanessa: nessa
veronica: ronnie ronni
victoria: vicky vicki tori
vincent: vince vinnie
virginia: ginny
walter: walt wally
william: bill billy will willy liam willie guillermo
zachary: zach zack zac
"""


def _read(forms: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in forms.split("\n"):
        head, _, short = line.partition(": ")
        for form in short.split():
            found.setdefault(form, head)
    return found


NICKNAMES: Final[Mapping[str, str]] = _read(_FORMS)
"""Form → the name it stands for; both lower case. A form of several names stands for the first of them."""
