package simulator

import "strings"

// smallTalk is what a customer says to what a shop sends, in one language.
type smallTalk struct {
	seen     string   // to a picture or a film
	heard    string   // to a voice message or a song
	read     string   // to a document
	shows    string   // under a picture that was asked for
	yes      []string // to questions, one after the other
	pictures []string // words by which a picture is asked for, in lower case
}

// smallTalkIn is in English where the language is not known.
func smallTalkIn(language string) smallTalk {
	switch language {
	case "vi":
		return smallTalk{
			seen: "Ảnh đẹp quá, cảm ơn shop! Đúng mẫu này ạ", heard: "Dạ nghe rõ rồi ạ, cảm ơn shop",
			read: "Dạ nhận được file rồi ạ", shows: "Dạ đây ạ, vừa chụp xong",
			yes:      []string{"Dạ đúng rồi ạ", "Dạ được ạ, shop làm giúp nhé", "Dạ, để em xem lại rồi nhắn shop ạ"},
			pictures: []string{"ảnh", "hình"},
		}
	case "ru":
		return smallTalk{
			seen: "Спасибо за фото, то что нужно!", heard: "Голосовое слышно хорошо, всё понятно",
			read: "Файл открылся, спасибо", shows: "Вот, только что снято",
			yes:      []string{"Да, всё верно", "Да, давайте так", "Сейчас проверю и напишу"},
			pictures: []string{"фото", "снимок"},
		}
	case "zh-hant":
		return smallTalk{
			seen: "謝謝你的照片，就是這個！", heard: "語音聽到了，謝謝", read: "檔案收到了，謝謝", shows: "剛拍的，請看",
			yes:      []string{"對，沒錯", "可以，麻煩你了", "我確認一下再回覆你"},
			pictures: []string{"照片", "圖片"},
		}
	case "zh-hans":
		return smallTalk{
			seen: "谢谢发来的图片，就是这个！", heard: "语音听到了，谢谢", read: "文件收到了，谢谢", shows: "刚拍的，请看",
			yes:      []string{"对的", "可以，麻烦了", "我确认一下再回复"},
			pictures: []string{"照片", "图片"},
		}
	default:
		return smallTalk{
			seen: "Thanks for the picture, that's exactly the one!", heard: "Got your voice message, thank you",
			read: "Got the file, thanks", shows: "Here it is, I just took it",
			yes:      []string{"Yes, that's right", "Yes please, that would be great", "Let me check and I'll write back"},
			pictures: []string{"photo", "picture"},
		}
	}
}

// wantsPicture tells whether a shop's text asks for a picture.
func (t smallTalk) wantsPicture(text string) bool {
	text = strings.ToLower(text)
	for _, word := range t.pictures {
		if isQuestion(text) && strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func isQuestion(text string) bool { return strings.ContainsAny(text, "?？") }
