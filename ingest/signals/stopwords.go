package signals

import (
	"slices"
	"strings"
	"sync"
	"unicode"
)

// gopherStopWords are the words of Gopher's quality rule.
var gopherStopWords = [...]string{"the", "be", "to", "of", "and", "that", "have", "with"}

// functionWords are the most frequent words without a topic, by language.
var functionWords = map[string]string{
	"en": "the of and to a in is was for on that with as by at it from be are his he this an or which were not but have had they their has one been also its who her she we you i all there when can if more would so about into than them no out up what some could do my our your will these those him me us over such only other then between through after before under because while where how each any both most being did does",
	"de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde sei kann ich wir ihr ihre seine wenn da diese dieser dieses unter gegen vom schon hatte waren wurden",
	"fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec ou son sa ses aux elle cette leur mais comme on nous vous je ils été être fait tout deux même ces peut ont était dont où si entre sans y lui leurs après très bien aussi",
	"es": "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni contra otros ese eso ante ellos e esto mí antes algunos qué unos yo otro es fue son era ha ser",
	"it": "di e il la che in a per un è del non una con si i le da al sono della dei come più ha nel anche o ma lo se gli dal alla delle ci suo sua dalla su era questo questa essere stato quando tra fu cui nella degli alle due dopo hanno ed loro molto così perché",
	"pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus quem nas me esse eles estão você",
	"nl": "de van het een en in is dat op te zijn met voor niet die aan er om ook als dan maar bij door nog wordt naar uit was over hij heeft had deze of worden hun ze zich meer tot haar wel werd geen kan al dit onder zo na wat veel moet tegen",
	"sv": "och i att det som en på är av för den till med de inte har om ett han men var jag sig från vi så kan när nu hade under man efter eller sin skulle ut hon också där vid upp mot in över ska få detta blir än bara",
	"pl": "i w na z do się nie to że o jak jest po od za a przez przy dla są tym co był oraz ale jego tego tak tylko może było być które który jej ich już też by lub czy między bez pod",
	"ru": "и в не на что с по как это он к но из у за от его то а о для же так было бы только она мы они я все или ее был если их при до уже может быть когда также который которые ни во со этого этот том",
}

// StopLanguages returns the languages whose function words StopWords counts.
func StopLanguages() []string {
	var all []string
	for l := range functionWords {
		all = append(all, l)
	}
	slices.Sort(all)
	return all
}

// stopWords are the hashes of the function words, as plain words are hashed.
var stopWords = sync.OnceValue(func() map[string][]uint64 {
	all := map[string][]uint64{}
	for language, words := range functionWords {
		for _, w := range strings.Fields(words) {
			h := uint64(hashStart)
			for _, r := range w {
				h = (h ^ uint64(unicode.ToLower(r))) * hashPrime
			}
			all[language] = append(all[language], h)
		}
	}
	return all
})
